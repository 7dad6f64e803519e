/** Programs: small ones with a library in them, which read and publish as they are told. */
import { join } from 'node:path';
import type { Connecting, Filters, Make, Properties, Publication, Qos } from './client.ts';
import { ClientProcess } from './client-process.ts';
import type { Line, Program } from './client-process.ts';

/** What a program prints: a line of JSON for each. */
interface Told {
  readonly subscribed?: boolean;
  readonly message?: {
    readonly topic: string;
    /** In hexadecimal. */
    readonly payload: string;
    readonly qos: Qos;
    readonly retain: boolean;
    readonly properties: Properties;
  };
}

/** What a program is told, as JSON in its only argument. */
interface Task {
  readonly connecting: Connecting;
  readonly filters?: Filters;
  readonly publications?: readonly Publication[];
}

/** MQTT.js, of npm. */
export const mqttJs: Make = makeOf('MQTT.js', {
  command: process.execPath,
  args: [join(import.meta.dirname, 'mqtt-js-program.mjs')],
  origin: 'nodejs',
});

/** Eclipse Paho, in Python. */
export const paho: Make = makeOf('Paho', {
  command: process.env['TRUNKLINE_PYTHON'] ?? '/usr/bin/python3',
  args: [join(import.meta.dirname, 'paho-program.py')],
  origin: 'python3-paho-mqtt',
});

function makeOf(name: string, program: Program): Make {
  const programFor = ({ connecting, publications, ...task }: Task): Program => {
    const { will } = connecting;
    const told = {
      ...task,
      connecting: { ...connecting, ...(will === undefined ? {} : { will: inHex(will) }) },
      publications: publications?.map(inHex),
    };
    return { ...program, args: [...program.args, JSON.stringify(told)] };
  };
  return {
    name,
    // It leaves when its input ends.
    read: (connecting, filters) =>
      ClientProcess.read(programFor({ connecting, filters }), parse, (child) => child.stdin?.end()),
    publish: (connecting, ...publications) =>
      ClientProcess.run(programFor({ connecting, publications })),
  };
}

function inHex({ payload, ...publication }: Publication): Publication {
  return { ...publication, payload: Buffer.from(payload).toString('hex') };
}

function parse(line: string): Line {
  const { subscribed, message } = toldBy(line);
  if (subscribed === true) return { kind: 'ready' };
  if (message === undefined) return { kind: 'said' };
  const payload = Buffer.from(message.payload, 'hex');
  return { kind: 'received', received: { ...message, payload } };
}

function toldBy(line: string): Told {
  try {
    return JSON.parse(line) as Told;
  } catch {
    return {};
  }
}
