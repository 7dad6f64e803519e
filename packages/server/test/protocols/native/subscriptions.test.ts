import { MemoryLink } from '@trunkline/testkit';
import { formatPosition } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import type { Caller, Start } from '../../../src/hub/hub-types.ts';
import { nativePresence } from '../../../src/protocols/native/presence.ts';
import { Subscriptions } from '../../../src/protocols/native/subscriptions.ts';
import type { SubscribingSession } from '../../../src/protocols/native/subscriptions.ts';
import { setUp } from '../../hub/hub-setup.ts';
import { away } from '../../hub/scripted-broker.ts';
import { placesEncoding } from '../../hub/selection/selection-setup.ts';

async function setUpSession(rules: Partial<NamespaceRules> = {}, countMax = 5) {
  const world = setUp({ presence: { listed: false, graceMs: 0 }, ...rules });
  const { clock, hub, turn } = world;
  await hub.open();
  const link = new MemoryLink({ clock, turn });
  let grants: Caller['identity']['grants'] = new Map();
  const session: SubscribingSession = {
    link,
    encoding: placesEncoding(),
    presenceEncoding: nativePresence,
    apart: (as) => ({
      ...session,
      onGap: (channel, gap) => link.send(`gap ${channel} ${gap.reason} as ${as}`),
      onMark: ([filter = ''], mark) => link.send(`mark ${filter} ${mark} as ${as}`),
    }),
    caller: () => ({ identity: { kind: 'anonymous', grants }, session: 's1' }),
    onGap: (channel, gap) => link.send(`gap ${channel} ${gap.reason}`),
    onMark: ([filter = ''], mark) => link.send(`mark ${filter} ${mark}`),
  };
  const subscriptions = new Subscriptions(hub, session, countMax);
  link.attach({
    onFrame() {},
    onDrain: () => subscriptions.advance(),
    onClose: () => subscriptions.end(),
  });
  const subscribe = async (channel: string, start: Start = {}, presence = false): Promise<void> => {
    const request = { channel, start, presence, echo: true, snapshot: false };
    await subscriptions.subscribe(request, ({ position, mark }) => {
      link.send(
        `subscribed ${channel} ${position === undefined ? mark : formatPosition(position)}`,
      );
    });
  };
  const take = async (): Promise<unknown[]> => {
    await clock.settle();
    return link.takeFrames();
  };
  const grant = (pattern: string): void => {
    grants = new Map([[pattern, new Set(['subscribe'] as const)]]);
  };
  return { ...world, grant, link, session, subscribe, subscriptions, take };
}

describe('subscriptions of a session', () => {
  test('are answered before any of their messages, losses told in between', async () => {
    const { broker, publish, subscribe, take } = await setUpSession();
    await publish(5, 'a/1');
    broker.trim('a/1', 4);
    await publish(1, 'a/2');
    await subscribe('a/+', { after: { kind: 'mark', mark: '~2' }, partial: true });
    expect(await take()).toEqual([
      expect.stringMatching(/^subscribed a\/\+ ~/),
      'gap a/1 trimmed',
      expect.stringMatching(/^a\/1:4 a\/1:5/),
      'a/2:1 ~6',
    ]);
  });

  test('that fail leave the one before as it was [CMD-3]', async () => {
    const { broker, publish, subscribe, take } = await setUpSession();
    await publish(2, 'a/1');
    await subscribe('a/+');
    broker.changedFailure = away;
    const failing = subscribe('a/+', { after: { kind: 'start' } });
    await expect(failing).rejects.toMatchObject({ code: 'unavailable' });
    await publish(1, 'a/1');
    expect(await take()).toEqual(['subscribed a/+ ~2', 'a/1:3 ~3']);
  });

  test('are as many as the limit allows, those being opened included', async () => {
    const { subscribe } = await setUpSession({}, 2);
    const asked = await Promise.allSettled(['a', 'b', 'c', 'a'].map((name) => subscribe(name)));
    expect(asked.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    ]);
  });

  test('end with the session, those being opened included, and give everything back', async () => {
    const { broker, clock, hub, subscribe, subscriptions } = await setUpSession();
    await subscribe('a/+');
    await subscribe('a/1');
    broker.holdReads();
    const opening = subscribe('b');
    const pattern = subscribe('b/+', { after: { kind: 'start' } });
    subscriptions.end();
    broker.releaseReads();
    await Promise.all([opening, pattern]);
    await clock.pass(60_000);
    expect(hub.activeChannels('#')).toEqual([]);
    expect([broker.patterns.size, broker.watched.size]).toEqual([0, 0]);
  });

  test('end where a new token does not allow them any more [WS-14]', async () => {
    const { grant, publish, subscribe, subscriptions, take } = await setUpSession({
      allow: { anonymous: [], user: [] },
    });
    grant('#');
    // A pattern is allowed as a whole here, whatever the token says.
    await subscribe('a');
    await subscribe('b');
    grant('b');
    expect(subscriptions.dropForbidden()).toEqual([{ channel: 'a' }]);
    await publish(0);
    expect(await take()).toEqual(['subscribed a 0:0', 'subscribed b 0:0']);
    await expect(subscribe('a')).rejects.toMatchObject({ code: 'forbidden' });
  });

  test('that can not watch presence are not listed either', async () => {
    const { hub, subscribe } = await setUpSession({
      presence: { listed: true, graceMs: 0 },
      allow: { anonymous: ['subscribe'], user: [] },
    });
    await expect(subscribe('a', {}, true)).rejects.toMatchObject({ code: 'forbidden' });
    expect(hub.presence.page('a', { countMax: 10 }).members).toEqual([]);
  });

  test('are given nothing again though the log forgets meanwhile where others began [WILD-4]', async () => {
    const { broker, publish, subscribe, take } = await setUpSession();
    await publish(2, 'a/1');
    await subscribe('#');
    await publish(3, 'a/1');
    await take();
    const changedSince = broker.changedSince.bind(broker);
    // Retention goes on between any two questions.
    broker.changedSince = async (...asked) => {
      const changed = await changedSince(...asked);
      broker.trim('a/1', 5);
      return changed;
    };
    await subscribe('a/+', { after: { kind: 'mark', mark: '~2' } });
    await publish(1, 'a/1');
    expect(await take()).toEqual([
      ...[expect.stringMatching(/^subscribed a\/\+ ~/), 'gap a/1 trimmed', 'a/1:6'],
      ...['mark # ~6', 'mark a/+ ~6'],
    ]);
  });

  test('begin behind what the log forgot, whatever memory has, where others began there [WILD-4]', async () => {
    const { broker, publish, subscribe, take } = await setUpSession({
      history: { countMax: 100, sizeMax: 1e9, ageMsMax: Infinity },
    });
    await publish(2, 'a/1');
    await subscribe('#');
    await publish(3, 'a/1');
    await take();
    broker.trim('a/1', 5);
    const position = { epoch: 'e1', offset: 2 };
    await subscribe('a/1', { after: { kind: 'position', position } });
    await publish(1, 'a/1');
    expect(await take()).toEqual(['subscribed a/1 e1:5', 'a/1:6', 'mark # ~6']);
  });

  test('tell the mark of each pattern apart where several match a message [WS-17]', async () => {
    const { publish, subscribe, take } = await setUpSession();
    await subscribe('a/+');
    await subscribe('#');
    await publish(1, 'a/1');
    expect(await take()).toEqual([
      ...['subscribed a/+ ~0', 'subscribed # ~0', 'a/1:1', 'mark # ~1', 'mark a/+ ~1'],
    ]);
    await publish(1, 'b');
    expect(await take()).toEqual(['b:1', 'mark # ~2']);
  });
});
