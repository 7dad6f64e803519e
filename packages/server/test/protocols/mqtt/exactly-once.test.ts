/** What a client publishes with QoS 2 is in the log once, whatever fails in between. */
import { ackPacket, publishPacket } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { heldState } from './held-state.ts';
import { holdPublishes, start } from './session/receiving-setup.ts';

const VERSIONS = [4, 5] as const;
const KEPT = { clientId: 'k', clean: false, expiry: 7_000_000 };

describe('Exactly once', () => {
  const packet = publishPacket('a', 'once', { qos: 2, packetId: 7 });
  const again = { ...packet, dup: true };

  it.each(VERSIONS)(
    'holds over a restart of the server at every stage, MQTT %s',
    async (version) => {
      for (const stage of ['unstored', 'stored', 'published', 'answered', 'released'] as const) {
        const held = heldState();
        const server = await start({ stateOf: held.stateOf });
        const waiting = holdPublishes(server);
        const client = server.peer();
        await client.connect({ ...KEPT, version });
        if (stage === 'unstored') held.hold();
        await client.send(packet);
        if (stage !== 'unstored' && stage !== 'stored') waiting[0]?.go();
        if (stage === 'answered' || stage === 'released') await client.settle();
        if (stage === 'released') await client.ack('pubrel', 7);
        // The server is gone: whatever it still does in this turn, nobody hears of it.
        client.link.setFaults({ freeze: true });
        const { peer } = await server.restart();
        held.release();
        const next = peer();
        await next.connect({ ...KEPT, version });
        if (stage !== 'released') {
          await next.send(again);
          for (const { go } of waiting) go();
          await next.settle();
          expect(next.takeKind('pubrec'), stage).toHaveLength(1);
        }
        await next.ack('pubrel', 7);
        expect(next.takeKind('pubcomp'), stage).toHaveLength(1);
        expect(await server.texts(), stage).toEqual(['once']);
      }
    },
  );

  it.each(VERSIONS)(
    'holds for a client of MQTT %s that comes back after the keys are forgotten',
    async (version) => {
      const server = await start();
      const client = server.peer();
      await client.connect({ ...KEPT, version });
      client.link.hold();
      await client.send(packet);
      await client.drop();
      await server.clock.pass(2 * 3_600_000);
      const next = server.peer();
      expect((await next.connect({ ...KEPT, version })).sessionPresent).toBe(true);
      await next.send(again);
      expect(next.expectPacket('pubrec').reason).toBe(0);
      expect(await server.texts()).toEqual(['once']);
    },
  );

  it('holds for a session that is to end with its next connection', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect(KEPT);
    const waiting = holdPublishes(server);
    await client.send(packet);
    await client.drop();
    const next = server.peer();
    expect((await next.connect({ ...KEPT, expiry: 0 })).sessionPresent).toBe(true);
    await next.send(again);
    for (const { go } of waiting) go();
    await next.settle();
    next.expectPacket('pubrec');
    expect(await server.texts()).toEqual(['once']);
  });

  it.each(VERSIONS)(
    'holds in MQTT %s where nobody knows whether it is in the log',
    async (version) => {
      const server = await start();
      const client = server.peer();
      await client.connect({ ...KEPT, version });
      const { hub } = server;
      const publish = hub.publish.bind(hub);
      hub.publish = async (...args) => {
        await publish(...args);
        throw new CodedError('unavailable', 'the log did not answer', { stored: 'unknown' });
      };
      // The client does not hear of it.
      client.link.hold();
      await client.send(packet);
      await client.drop();
      hub.publish = publish;
      const next = server.peer();
      await next.connect({ ...KEPT, version });
      await next.send(again, ackPacket('pubrel', 7));
      expect(next.takeKind('pubrec')).toHaveLength(1);
      expect(await server.texts()).toEqual(['once']);
    },
  );

  it.each(VERSIONS)('holds in MQTT %s where it is refused when it comes again', async (version) => {
    const server = await start();
    const client = server.peer();
    await client.connect({ ...KEPT, version });
    const { hub } = server;
    const publish = hub.publish.bind(hub);
    hub.publish = async (...args) => {
      await publish(...args);
      throw new CodedError('unavailable', 'the log did not answer', { stored: 'unknown' });
    };
    client.link.hold();
    await client.send(packet);
    await client.drop();
    // That much is certain of this time, and of the one before nothing.
    hub.publish = () =>
      Promise.reject(new CodedError('unavailable', 'the disk is full', { stored: false }));
    const second = server.peer();
    await second.connect({ ...KEPT, version });
    second.link.hold();
    await second.send(again);
    await second.drop();
    hub.publish = publish;
    const third = server.peer();
    await third.connect({ ...KEPT, version });
    await third.send(again, ackPacket('pubrel', 7));
    expect(third.takeKind('pubrec')).toHaveLength(1);
    expect(await server.texts()).toEqual(['once']);
  });

  it.each(VERSIONS)(
    'goes by the packet identifier, whatever MQTT %s sends with it',
    async (version) => {
      const server = await start();
      const client = server.peer();
      await client.connect({ ...KEPT, version });
      const waiting = holdPublishes(server);
      await client.send(packet);
      await client.drop();
      waiting[0]?.go();
      const next = server.peer();
      await next.connect({ ...KEPT, version });
      await next.send(publishPacket('a', 'another', { qos: 2, packetId: 7 }));
      waiting[1]?.go();
      await next.settle();
      expect(next.expectPacket('pubrec').reason).toBe(0);
      await next.ack('pubrel', 7);
      next.expectPacket('pubcomp');
      expect(await server.texts()).toEqual(['once']);
    },
  );

  it('takes what comes without DUP after such a refusal for a new message', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect(KEPT);
    const { hub } = server;
    const publish = hub.publish.bind(hub);
    hub.publish = async (...args) => {
      await publish(...args);
      throw new CodedError('unavailable', 'the log did not answer', { stored: 'unknown' });
    };
    await client.send(packet);
    expect(client.expectPacket('pubrec').reason).toBe(0x80);
    hub.publish = publish;
    await client.send(publishPacket('a', 'new', { qos: 2, packetId: 7 }));
    expect(client.expectPacket('pubrec').reason).toBe(0);
    expect(await server.texts()).toEqual(['once', 'new']);
  });

  it('stores that it was refused before the client hears of it', async () => {
    const held = heldState();
    const server = await start({ stateOf: held.stateOf });
    const client = server.peer();
    await client.connect(KEPT);
    held.hold();
    await client.publish('$no', 'x', { qos: 2, packetId: 7 });
    await client.publish('a', 'y', { qos: 1, packetId: 8 });
    held.releaseOne(); // The packet identifier.
    await client.settle();
    client.expectNothing();
    held.releaseOne();
    await client.settle();
    expect(client.take().map(({ kind }) => kind)).toEqual(['pubrec', 'puback']);
  });

  it('takes no new message for one that was refused', async () => {
    const server = await start();
    const client = server.peer();
    await client.connect(KEPT);
    await client.publish('$no', 'x', { qos: 2, packetId: 7 });
    expect(client.expectPacket('pubrec').reason).toBe(0x90);
    client.link.setFaults({ freeze: true });
    const next = (await server.restart()).peer();
    expect((await next.connect(KEPT)).properties.receiveMaximum).toBe(4);
    // It does not count any more.
    for (const packetId of [1, 2, 3, 4]) await next.publish('a', 'x', { qos: 2, packetId });
    expect(next.isOver).toBe(false);
  });
});
