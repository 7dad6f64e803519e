import { subscribePacket, unsubscribePacket } from '@trunkline/testkit';
import { BrokerError } from '../../../../src/broker/broker.ts';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { checkFilter } from '../../../../src/protocols/mqtt/subscriptions/subscribing.ts';
import { startMqtt } from '../mqtt-setup.ts';

const VERSIONS = [4, 5] as const;

describe('SUBSCRIBE', () => {
  it.each(VERSIONS)(
    '[MQTT-3.8.4-1] [MQTT-3.8.4-2] [MQTT4-3.8.4-5] [MQTT4-3.9.3-1] [MQTT5-3.8.4-5] [MQTT5-3.8.4-6] [MQTT5-3.8.4-7] is answered filter by filter in MQTT %s',
    async (version) => {
      const { peer, publish } = await startMqtt();
      const client = peer();
      await client.connect({ version, userName: 'alice', password: 'alice ok/#=subscribe' });
      const { reasons, packetId } = await client.subscribe(
        [
          { filter: 'ok/a', qos: 2 },
          { filter: 'other', qos: 1 },
          { filter: '$nothing/x', qos: 1 },
          { filter: 'another', qos: 1 },
          { filter: 'ok/#', qos: 1 },
        ],
        { packetId: 77 },
      );
      expect(packetId).toBe(77);
      // [MQTT-3.9.3-2]: 3.1.1 knows one reason.
      expect(reasons).toEqual(version === 5 ? [2, 0x87, 0x8f, 0x87, 1] : [2, 0x80, 0x80, 0x80, 1]);
      await publish('ok/a', 'x');
      expect(client.expectPacket('publish').topic).toBe('ok/a');
    },
  );

  it.each(VERSIONS)('takes no more filters than a session may have in MQTT %s', async (version) => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    const filters = Array.from({ length: 12 }, (_, index) => `f${index}`);
    const { reasons } = await client.subscribe(filters);
    expect(reasons.slice(0, 10)).toEqual(Array(10).fill(0));
    expect(reasons.slice(10)).toEqual(Array(2).fill(version === 5 ? 0x97 : 0x80));
    // One that it has is not one more.
    expect((await client.subscribe([{ filter: 'f3', qos: 1 }])).reasons).toEqual([1]);
    await client.unsubscribe('f0');
    expect((await client.subscribe(['f10'])).reasons).toEqual([0]);
  });

  it('many times over is bounded by that limit', async () => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.connect();
    for (let round = 0; round < 30; round += 1) {
      const filters = Array.from({ length: 50 }, (_, index) => `r${round}/${index}/+`);
      await client.send(subscribePacket(round + 1, filters));
    }
    const refused = client.takeKind('suback').flatMap(({ reasons }) => reasons.filter(Boolean));
    expect(refused).toHaveLength(30 * 50 - 10);
    expect(hub.counts.subscriptions).toBeLessThan(20);
  });

  it('malformed filters end the connection', async () => {
    const { peer } = await startMqtt();
    for (const filter of ['a/#/b', 'a+', '']) {
      const client = peer();
      await client.connect();
      await client.send(subscribePacket(1, [filter]));
      expect(client.expectEnd(), filter).toBe(0x8f);
    }
  });

  it.each(VERSIONS)('says that the log is away, MQTT %s', async (version) => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.connect({ version });
    const error = new CodedError('unavailable', 'away');
    hub.subscribe = () => Promise.reject(error);
    hub.subscribeMany = () =>
      Promise.reject(new BrokerError('unavailable', 'x', { stored: false }));
    const { reasons } = await client.subscribe(['a', 'a/#']);
    expect(reasons).toEqual([0x80, 0x80]);
    expect(client.isOver).toBe(false);
  });

  it('has no word for what is wrong that SUBACK does not know', async () => {
    const { peer, hub } = await startMqtt();
    const client = peer();
    await client.connect();
    hub.subscribe = () => Promise.reject(new CodedError('bad_request', 'no'));
    expect((await client.subscribe(['a'])).reasons).toEqual([0x80]);
  });
});

describe('UNSUBSCRIBE', () => {
  it.each(VERSIONS)(
    '[MQTT-3.10.4-4] [MQTT-3.10.4-5] [MQTT-3.10.4-6] [MQTT-3.11.3-1] is answered in MQTT %s',
    async (version) => {
      const { peer, publish } = await startMqtt();
      const client = peer();
      await client.connect({ version });
      await client.subscribe(['a', 'b/#']);
      const { reasons } = await client.unsubscribe('a', 'c', 'b/#', 'a');
      expect(reasons).toEqual(version === 5 ? [0, 0x11, 0, 0x11] : []);
      await publish('a', 'x');
      await publish('b/c', 'x');
      client.expectNothing();
    },
  );

  it('[MQTT-3.10.4-3] finishes what was begun', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect();
    await client.subscribe([{ filter: 'a', qos: 2 }]);
    await publish('a', 'x');
    const { packetId } = client.expectPacket('publish');
    await client.unsubscribe('a');
    await client.ack('pubrec', packetId);
    expect(client.expectPacket('pubrel').packetId).toBe(packetId);
    await client.ack('pubcomp', packetId);
  });

  it('is kept by a session that goes on', async () => {
    const { peer, publish } = await startMqtt();
    const kept = { clientId: 'k', clean: false, expiry: 60 };
    const first = peer();
    await first.connect(kept);
    await first.subscribe([{ filter: 'a', qos: 1 }]);
    await first.send(unsubscribePacket(9, ['a']));
    await first.drop();
    await publish('a', 'x');
    const second = peer();
    expect((await second.connect(kept)).sessionPresent).toBe(true);
    await publish('a', 'y');
    second.expectNothing();
  });
});

describe('checkFilter', () => {
  it('lets channels and patterns pass, and nothing else', () => {
    for (const filter of ['a', 'a/b', '+', '#', 'a/+/b/#', '/', 'a//b', '/a']) checkFilter(filter);
    for (const filter of ['', '$x', '$x/#', 'a\u0000b', 'x'.repeat(5_000)]) {
      expect(() => checkFilter(filter), filter.slice(0, 9)).toThrow(CodedError);
    }
  });
});
