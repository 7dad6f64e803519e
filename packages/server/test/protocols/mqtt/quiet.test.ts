import { expect, it } from 'vitest';
import { startMqtt } from './mqtt-setup.ts';

const CLIENT = { clientId: 'c', clean: false, expiry: 1000 } as const;

it.each(['a', '+'])(
  'what a server that was killed may have sent with QoS 0 does not come again, for %s [DEV-38]',
  async (filter) => {
    const { clock, peer, publish, restart } = await startMqtt();
    const sender = peer();
    await sender.connect();
    const first = peer();
    await first.connect(CLIENT);
    await first.subscribe([{ filter, qos: 1 }]);
    await clock.pass(2_000);
    await sender.publish('a', 'at most once');
    await publish('a', 'at least once');
    expect(first.expectPayloads(2)).toEqual(['at most once', 'at least once']);
    // The first life knows what it has sent, and the next one does not.
    await clock.pass(10);
    const next = await restart();
    const second = next.peer();
    await second.connect(CLIENT);
    expect(second.takeKind('publish').map(({ qos }) => qos)).toEqual([1]);
    await sender.publish('a', 'new');
    expect(second.expectPayloads(1)).toEqual(['new']);

    // An orderly end does not make it known.
    await second.drop();
    await sender.publish('a', 'while away');
    const third = next.peer();
    await third.connect(CLIENT);
    expect(third.takeKind('publish').map(({ qos }) => qos)).toEqual([1, 0]);
  },
);
