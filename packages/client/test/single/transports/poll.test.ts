import { describe, expect, test } from 'vitest';
import { watch, wireMessage } from '../../support/fakes.ts';
import type { FakeRequest, Watched } from '../../support/fakes.ts';

async function lastRequest(watched: Watched): Promise<FakeRequest> {
  await watched.platform.clock.settle();
  const request = watched.platform.requests.at(-1);
  if (request === undefined) throw new Error('nothing was asked');
  return request;
}

const page = (position: string, offsets: readonly number[], more = {}) => ({
  messages: offsets.map(wireMessage),
  positions: { a: position },
  recovered: {},
  gaps: {},
  ...more,
});
const query = (request: FakeRequest) => Object.fromEntries(request.url.searchParams);

describe('polling', () => {
  test('asks at once where it stands, then waits at the server', async () => {
    const watched = watch({ transport: 'poll', waitSeconds: 20 });
    const first = await lastRequest(watched);
    expect(query(first)).toEqual({ channel: 'a', wait: '0' });
    first.answer(200, page('e:4', []));
    const second = await lastRequest(watched);
    expect(query(second)).toEqual({ channel: 'a', after: 'e:4', wait: '20' });
    second.answer(200, page('e:6', [5, 6]));
    const third = await lastRequest(watched);
    expect(query(third)).toMatchObject({ after: 'e:6' });
    expect(watched.told()).toEqual(['connecting', 'connected', 'open e:4', '5', '6']);
    await watched.subscription.return();
    expect(third.signal?.aborted).toBe(true);
  });

  test('says where it stood before the first messages', async () => {
    const watched = watch({ transport: 'poll', after: 'e:4' });
    (await lastRequest(watched)).answer(200, page('e:6', [5, 6], { recovered: { a: true } }));
    await watched.platform.clock.settle();
    expect(watched.events[2]).toEqual({
      kind: 'open',
      channel: 'a',
      position: 'e:4',
      recovered: true,
    });
    await watched.subscription.return();
  });

  test('asks on at once while there is more', async () => {
    const watched = watch({ transport: 'poll', after: 'start' });
    (await lastRequest(watched)).answer(200, page('e:2', [1, 2], { more: true }));
    const second = await lastRequest(watched);
    expect(query(second)).toMatchObject({ after: 'e:2', wait: '0' });
    await watched.subscription.return();
  });

  test('polls shortly at its interval when it may not wait', async () => {
    const watched = watch({ transport: 'poll', waitSeconds: 0, intervalMs: 700 });
    (await lastRequest(watched)).answer(200, page('e:0', []));
    await watched.platform.clock.pass(699);
    expect(watched.platform.requests).toHaveLength(1);
    await watched.platform.clock.pass(1);
    expect(query(await lastRequest(watched))).toMatchObject({ after: 'e:0', wait: '0' });
    await watched.subscription.return();
    expect(watched.platform.clock.timerCount).toBe(0);
  });

  test('does not hammer a server that will not wait', async () => {
    const watched = watch({ transport: 'poll' });
    (await lastRequest(watched)).answer(200, page('e:0', []));
    (await lastRequest(watched)).answer(200, page('e:0', []));
    await watched.platform.clock.pass(999);
    expect(watched.platform.requests).toHaveLength(2);
    await watched.platform.clock.pass(1);
    expect(watched.platform.requests).toHaveLength(3);
    await watched.subscription.return();
  });

  test('tells a gap, and never an offset twice', async () => {
    const watched = watch({ transport: 'poll' });
    (await lastRequest(watched)).answer(200, page('e:2', []));
    const gap = { reason: 'trimmed', from: 3, to: 7 };
    (await lastRequest(watched)).answer(
      200,
      page('e:9', [8, 9], { recovered: { a: false }, gaps: { a: gap } }),
    );
    (await lastRequest(watched)).answer(200, page('e:10', [9, 10]));
    await watched.platform.clock.settle();
    expect(watched.events).toContainEqual({ kind: 'gap', channel: 'a', gap, position: 'e:7' });
    expect(watched.told().slice(3)).toEqual(['gap e:7', '8', '9', '10']);
    await watched.subscription.return();
  });

  test('comes back from its position when an answer fails or does not come', async () => {
    const watched = watch({ transport: 'poll', waitSeconds: 20 });
    (await lastRequest(watched)).answer(200, page('e:4', []));
    (await lastRequest(watched)).answer(503, { code: 'draining' });
    await watched.platform.clock.pass(50);
    const third = await lastRequest(watched);
    expect(query(third)).toEqual({ channel: 'a', after: 'e:4', wait: '0' });
    third.answer(200, page('e:4', [], { recovered: { a: true } }));
    await lastRequest(watched);
    await watched.platform.clock.pass(30_000);
    expect(watched.events.at(-1)).toMatchObject({ reason: 'no answer in time' });
    await watched.subscription.return();
    expect(watched.platform.clock.timerCount).toBe(0);
  });

  test.each([
    ['no JSON', '<html>'],
    ['no position', { messages: [] }],
  ])('ends when the answer has %s', async (_, body) => {
    const watched = watch({ transport: 'poll' });
    (await lastRequest(watched)).answer(200, body);
    await watched.platform.clock.settle();
    expect(watched.ended.error).toMatchObject({ code: 'bad_request' });
  });
});
