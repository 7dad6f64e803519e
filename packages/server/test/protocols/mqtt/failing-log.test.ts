/** What clients see of a log that does not answer, and what is kept of their sessions then. */
import { connectPacket, subscribePacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { failingState } from './held-state.ts';
import { startMqtt } from './mqtt-setup.ts';

const VERSIONS = [4, 5] as const;

/** A session that outlives its connection. */
const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('A log that does not answer', () => {
  it.each(VERSIONS)('refuses CONNECT of MQTT %s as unavailable', async (version) => {
    const { stateOf, told } = failingState();
    const { peer } = await startMqtt({ stateOf });
    told.failure = new BrokerError('unavailable', 'the log is away', { stored: false });
    const client = peer();
    expect((await client.connect({ version, ...KEPT })).reason).toBe(version === 5 ? 0x88 : 3);
    expect(client.isOver).toBe(true);
    told.failure = undefined;
    expect((await peer().connect({ version, ...KEPT })).reason).toBe(0);
  });

  it.each(VERSIONS)(
    'lets nobody of MQTT %s go on before the end before is stored',
    async (version) => {
      const { stateOf, told } = failingState();
      const { peer, clock, publish } = await startMqtt({ stateOf });
      const first = peer({ autoAck: true });
      await first.connect({ version, ...KEPT });
      await first.subscribe([{ filter: 'a', qos: 1 }]);
      await publish('a', 'once');
      expect(first.takeKind('publish')).toHaveLength(1);
      told.failure = new BrokerError('unavailable', 'the disk is full', { stored: false });
      await first.drop();
      const second = peer();
      await second.send(connectPacket({ version, ...KEPT }));
      await clock.pass(10_500);
      expect(second.expectPacket('connack').reason).toBe(version === 5 ? 0x88 : 3);
      await clock.pass(100_000);
      told.failure = undefined;
      // Who needs it does not wait for the next try.
      const third = peer();
      expect((await third.connect({ version, ...KEPT })).sessionPresent).toBe(true);
      third.expectNothing();
    },
  );

  it('does not hold up the end of the server', async () => {
    const { stateOf, told } = failingState();
    const { peer, protocol, clock } = await startMqtt({ stateOf });
    const client = peer();
    await client.connect(KEPT);
    told.failure = new BrokerError('unavailable', 'the log is away', { stored: false });
    await client.drop();
    await protocol.stop();
    told.failure = undefined;
    const other = peer();
    await other.connect({ ...KEPT, clientId: 'other' });
    await other.drop();
    await protocol.stop();
    await clock.settle();
  });

  it('is asked once more for what a session keeps when the server ends', async () => {
    const { stateOf, told } = failingState();
    const { peer, protocol, publish, restart } = await startMqtt({ stateOf });
    const client = peer({ autoAck: true });
    await client.connect(KEPT);
    await client.subscribe([{ filter: 'a', qos: 1 }]);
    told.failure = new BrokerError('unavailable', 'the log is away', { stored: false });
    await publish('a', 'once');
    expect(client.takeKind('publish')).toHaveLength(1);
    await client.drop();
    told.failure = undefined;
    await protocol.stop();
    const next = (await restart()).peer();
    expect((await next.connect(KEPT)).sessionPresent).toBe(true);
    next.expectNothing();
  });

  it('[MQTT-3.14.2-1] is told by a reason that DISCONNECT has', async () => {
    const { peer, publish, hub } = await startMqtt();
    const before = peer();
    await before.connect(KEPT);
    await before.subscribe([{ filter: 'a', qos: 1 }]);
    await publish('a', 'not acknowledged');
    await before.drop();
    hub.messagesAt = () =>
      Promise.reject(new BrokerError('unavailable', 'away', { stored: false }));
    const client = peer();
    expect((await client.connect(KEPT)).sessionPresent).toBe(true);
    expect(client.expectEnd()).toBe(0x89);
  });

  it('holds up a SUBSCRIBE until it is back, and no other client', async () => {
    const { stateOf, told } = failingState();
    const { peer, clock } = await startMqtt({ stateOf });
    const [client, other] = [peer(), peer()];
    await client.connect(KEPT);
    await other.connect({ clientId: 'other' });
    told.failure = new BrokerError('unavailable', 'the log is away', { stored: false });
    await client.send(subscribePacket(1, ['a']), { kind: 'pingreq' });
    await clock.pass(5_000);
    client.expectNothing();
    await other.publishThrough('a', 'x', 1);
    told.failure = undefined;
    await clock.pass(1_000);
    expect(client.take().map(({ kind }) => kind)).toContain('suback');
  });
});
