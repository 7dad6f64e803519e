import { NO_PROPERTIES } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type {
  Connack,
  Packet,
  Suback,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/manual-clock.ts';
import { MqttPeer } from '../../src/mqtt/mqtt-peer.ts';
import type { MqttPeerOptions } from '../../src/mqtt/mqtt-peer.ts';
import { ackPacket, publishPacket } from '../../src/mqtt/packet-makers.ts';
import { scripted } from './scripted-server.ts';
import type { Answers } from './scripted-server.ts';

const WELCOME: Connack = {
  kind: 'connack',
  sessionPresent: false,
  reason: 0,
  properties: NO_PROPERTIES,
};

/** A peer, and what the server got. */
function setUp(answers: Answers, options: Partial<MqttPeerOptions> = {}) {
  const got: Packet[] = [];
  const events: string[] = [];
  const open = scripted(
    (packet) => {
      got.push(packet);
      return answers(packet);
    },
    () => void events.push('closed'),
  );
  const peer = new MqttPeer({ clock: new ManualClock(), open, ...options });
  return { peer, got, events };
}

const welcoming: Answers = (packet) => {
  switch (packet.kind) {
    case 'connect':
      return [WELCOME];
    case 'subscribe': {
      const { packetId } = packet;
      const answer: Suback = {
        kind: 'suback',
        packetId,
        reasons: packet.subscriptions.map(({ qos }) => qos),
        properties: NO_PROPERTIES,
      };
      return [publishPacket('a', 'early'), answer, publishPacket('a', 'late')];
    }
    case 'publish':
      if (packet.qos === 0) return [];
      return [ackPacket(packet.qos === 1 ? 'puback' : 'pubrec', packet.packetId)];
    case 'pubrel':
      return [ackPacket('pubcomp', packet.packetId)];
    case 'disconnect':
      return [];
    default:
      return [];
  }
};

describe('MqttPeer', () => {
  test.each([4, 5] as const)('connects in version %i as it is told', async (version) => {
    const { peer, got } = setUp(welcoming);
    const will = { topic: 'w', payload: 'gone', qos: 1 as const };
    const answer = await peer.connect({ version, clientId: 'me', clean: false, will });
    expect(answer).toEqual(WELCOME);
    expect(got).toMatchObject([
      { kind: 'connect', version, clientId: 'me', cleanStart: false, will: { topic: 'w', qos: 1 } },
    ]);
    peer.expectNothing();
  });

  test('takes an answer from among messages, and leaves those', async () => {
    const { peer } = setUp(welcoming);
    await peer.connect();
    expect(await peer.subscribe(['a', { filter: 'b', qos: 2 }])).toMatchObject({ reasons: [0, 2] });
    expect(peer.expectPayloads(2)).toEqual(['early', 'late']);
    peer.expectNothing();
    expect(peer.received).toHaveLength(4);
  });

  test('acknowledges nothing by itself', async () => {
    const { peer, got } = setUp((packet) =>
      packet.kind === 'connect'
        ? [WELCOME, publishPacket('a', 'x', { qos: 1, packetId: 7 })]
        : welcoming(packet),
    );
    await peer.connect();
    expect(peer.expectPacket('publish')).toMatchObject({ packetId: 7 });
    expect(got).toHaveLength(1);
    await peer.ack('puback', 7);
    expect(got[1]).toMatchObject({ kind: 'puback', packetId: 7 });
  });

  test('acknowledges what comes when it is told to', async () => {
    const { peer, got } = setUp(
      (packet) => {
        if (packet.kind === 'connect') {
          const options = [1, 2].map((qos) => ({ qos: qos as 1 | 2, packetId: qos }));
          return [WELCOME, ...options.map((one) => publishPacket('a', 'x', one))];
        }
        return packet.kind === 'pubrec' ? [ackPacket('pubrel', packet.packetId)] : [];
      },
      { autoAck: true },
    );
    await peer.connect();
    expect(got.slice(1).map(({ kind }) => kind)).toEqual(['puback', 'pubrec', 'pubcomp']);
  });

  test.each([0, 1, 2] as const)('publishes through all steps of QoS %i', async (qos) => {
    const { peer, got } = setUp(welcoming);
    await peer.connect();
    await peer.publishThrough('a', 'x', qos);
    peer.expectNothing();
    expect(got.slice(1).map(({ kind }) => kind)).toEqual(
      qos === 2 ? ['publish', 'pubrel'] : ['publish'],
    );
  });

  test('says what came instead of what a test expected', async () => {
    const { peer } = setUp(welcoming);
    await peer.connect();
    await peer.publish('a', 'x', { qos: 1 });
    expect(() => peer.expectPacket('pubrec')).toThrow('expected pubrec, got puback #1 0x00');
    expect(() => peer.expectNothing()).toThrow('expected nothing, got puback #1 0x00');
    expect(() => peer.expectEnd()).toThrow('expected the end');
  });

  test.each([
    ['a packet of a client', 'c000'],
    ['a packet identifier 0', '40020000'],
    ['QoS 3', '3600'],
    ['a refusal with a session', '20020105'],
  ])('refuses %s from a server', async (_, bytes) => {
    const { peer } = setUp(() => [bytes]);
    await expect(peer.connect({ version: 4 })).rejects.toMatchObject({
      cause: { name: 'MqttError' },
    });
    expect(() => peer.take()).toThrow('no server may send');
  });

  test('refuses a packet larger than it takes', async () => {
    const large = publishPacket('a', new Uint8Array(100));
    const { peer } = setUp(() => [WELCOME, large], { packetSizeMax: 100 });
    await expect(peer.connect()).rejects.toMatchObject({ cause: { reason: 0x95 } });
  });

  test('sends bytes as they are, and leaves or breaks off', async () => {
    const one = setUp(welcoming, { version: 4 });
    await one.peer.sendRaw(Buffer.from('101000044d5154', 'hex'), Buffer.from('5404020000', 'hex'));
    expect(one.got).toEqual([]);
    await one.peer.sendRaw(Buffer.from('00046d797374', 'hex'));
    expect(one.got).toMatchObject([{ kind: 'connect', clientId: 'myst' }]);
    await one.peer.drop();
    expect(one.events).toEqual(['closed']);
    expect(one.peer.isOver).toBe(true);

    const other = setUp(welcoming);
    await other.peer.connect();
    await other.peer.disconnect();
    expect(other.got.at(-1)).toMatchObject({ kind: 'disconnect', reason: 0 });
    expect(other.events).toEqual(['closed']);
  });
});
