/** Mosquitto's clients: mosquitto_sub and mosquitto_pub, of the Debian package mosquitto-clients. */
import type {
  Connecting,
  Filters,
  Make,
  MqttReader,
  Properties,
  Publication,
  Qos,
} from './client.ts';
import { ClientProcess } from './client-process.ts';
import type { Line } from './client-process.ts';

const ORIGIN = 'mosquitto-clients';

/** A line of a message: what the debugging output beside it never begins with. */
const TOLD = 'told';

/** Its fields, between tabs; payloads in hexadecimal, the last one may have anything. */
const FORMAT = [TOLD, '%q', '%r', '%t', '%x', '%C', '%R', '%D', '%E', '%P'].join(String.raw`\t`);

const VERSION_FLAGS = { 4: 'mqttv311', 5: 'mqttv5' } as const;

/** The programs of Mosquitto. */
export const mosquitto: Make = {
  name: 'Mosquitto',

  read(connecting, filters): Promise<MqttReader> {
    const { will } = connecting;
    const program = {
      // Into a pipe it would write its lines when it has many of them.
      command: 'stdbuf',
      args: [
        // Debugging output says when it has subscribed.
        ...[
          '-oL',
          'mosquitto_sub',
          '-d',
          '-F',
          FORMAT,
          ...flagsOf(connecting),
          ...filterFlags(filters),
        ],
        ...(will === undefined ? [] : willFlags(will)),
      ],
      origin: ORIGIN,
    };
    return ClientProcess.read(program, readerLine(), (child) => child.kill('SIGTERM'));
  },

  async publish(connecting, ...publications): Promise<void> {
    for (const { topic, payload, qos = 1, retain = false, properties = {} } of publications) {
      const source = payload.length === 0 ? '-n' : '-s';
      const flags = [source, '-t', topic, '-q', String(qos), ...(retain ? ['-r'] : [])];
      await ClientProcess.run({
        command: 'mosquitto_pub',
        args: [...flagsOf(connecting), ...flags, ...propertyFlags('publish', properties)],
        origin: ORIGIN,
        input: payload,
      });
    }
  },
};

function flagsOf(connecting: Connecting): string[] {
  const { url, version, clientId, expirySeconds, user, password, ca, cert, key } = connecting;
  const { hostname, port } = new URL(url);
  const given: readonly (readonly [flag: string, value: string | undefined])[] = [
    ['-i', clientId],
    ['-u', user],
    ['-P', password],
    ['--cafile', ca],
    ['--cert', cert],
    ['--key', key],
  ];
  return [
    ...['-h', hostname, '-p', port, '-V', VERSION_FLAGS[version]],
    ...(expirySeconds === undefined ? [] : ['-c']),
    ...(expirySeconds === undefined || version === 4 ? [] : ['-x', String(expirySeconds)]),
    ...given.flatMap(([flag, value]) => (value === undefined ? [] : [flag, value])),
  ];
}

/** It subscribes to all of its filters with one QoS. */
function filterFlags(filters: Filters): string[] {
  const [qos = 0, ...others] = new Set(Object.values(filters));
  if (others.length > 0) throw new Error('mosquitto_sub knows one QoS');
  return ['-q', String(qos), ...Object.keys(filters).flatMap((filter) => ['-t', filter])];
}

function willFlags({ topic, payload, qos = 0, retain = false }: Publication): string[] {
  const text = Buffer.from(payload).toString();
  const flags = ['--will-topic', topic, '--will-payload', text, '--will-qos', String(qos)];
  return retain ? [...flags, '--will-retain'] : flags;
}

function propertyFlags(packet: string, properties: Properties): string[] {
  const { contentType, responseTopic, correlationData, messageExpiryInterval } = properties;
  const given = Object.entries({
    'content-type': contentType,
    'response-topic': responseTopic,
    'correlation-data': correlationData,
    'message-expiry-interval': messageExpiryInterval,
  }).flatMap(([name, value]) => (value === undefined ? [] : ['-D', packet, name, String(value)]));
  const own = (properties.userProperties ?? []).flatMap(([name, value]) => {
    return ['-D', packet, 'user-property', name, value];
  });
  return [...given, ...own];
}

/** Subscribed is who has the answer to its packet, for all filters. */
function readerLine(): (line: string) => Line {
  return (line) => {
    if (line.startsWith('Subscribed (mid: ')) {
      // 128 and above are refusals, of which it goes on to tell.
      return /\): .*\b1[2-9]\d\b/.test(line) ? { kind: 'said' } : { kind: 'ready' };
    }
    const [told, qos, retain, topic = '', payload = '', ...properties] = line.split('\t');
    if (told !== TOLD) return { kind: 'said' };
    const received = {
      topic,
      payload: Buffer.from(payload, 'hex'),
      qos: Number(qos) as Qos,
      retain: retain === '1',
      properties: propertiesOf(properties),
    };
    return { kind: 'received', received };
  };
}

function propertiesOf(fields: readonly string[]): Properties {
  const [contentType = '', responseTopic = '', correlationData = '', expiry = '', own = ''] =
    fields;
  return {
    ...(contentType === '' ? {} : { contentType }),
    ...(responseTopic === '' ? {} : { responseTopic }),
    ...(correlationData === '' ? {} : { correlationData }),
    ...(expiry === '' ? {} : { messageExpiryInterval: Number(expiry) }),
    ...(own === '' ? {} : { userProperties: own.split(' ').map(pairOf) }),
  };
}

function pairOf(text: string): readonly [string, string] {
  const [name = '', value = ''] = text.split(':');
  return [name, value];
}
