import { MemoryLink } from '@trunkline/testkit';
import { parseAfter } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { openSubscription } from '../../../src/protocols/native/opening.ts';
import type { SubscribeRequest, Subscribing } from '../../../src/protocols/native/opening.ts';
import { nativePresence } from '../../../src/protocols/native/presence.ts';
import { anyone, offsetsEncoding, setUp } from '../../hub/hub-setup.ts';

async function setUpSubscriber() {
  const world = setUp();
  const { clock, hub, turn } = world;
  await hub.open();
  const link = new MemoryLink({ clock, turn });
  const subscriber: Subscribing = {
    link,
    encoding: offsetsEncoding,
    presenceEncoding: nativePresence,
    caller: () => anyone,
    onGap() {},
    onMark() {},
  };
  const open = (request: Partial<SubscribeRequest>) =>
    openSubscription(hub, subscriber, {
      ...{ channel: 'a', start: {}, presence: false, echo: true, snapshot: false },
      ...request,
    });
  return { ...world, link, open };
}

describe('what a client asks to subscribe to', () => {
  test('is answered with a position or a mark, and delivers nothing before it is started', async () => {
    const { clock, hub, link, open, publish } = await setUpSubscriber();
    await publish(2, 'a');
    const name = await open({ start: { after: parseAfter('e1:1') } });
    const pattern = await open({ channel: '#', start: { after: parseAfter('start') } });
    expect(name).toMatchObject({ position: { epoch: 'e1', offset: 1 }, recovered: true });
    expect(pattern).toMatchObject({ mark: expect.stringMatching(/^~/), recovered: true });
    await clock.settle();
    expect(link.takeFrames()).toEqual([]);
    for (const { cursor } of [name, pattern]) hub.start(cursor);
    await clock.settle();
    expect(link.takeFrames()).toEqual(['e1:2', 'e1:1 e1:2']);
  });

  test('leaves out what the session publishes where it is told so [WS-16]', async () => {
    const { open } = await setUpSubscriber();
    const [deaf, other] = [await open({ echo: false }), await open({ channel: '+', echo: false })];
    for (const { cursor } of [deaf, other]) expect(cursor.mutedSession).toBe('s1');
    expect((await open({})).cursor.mutedSession).toBeUndefined();
  });
});
