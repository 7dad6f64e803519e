import { describe, expect, test } from 'vitest';
import { longPoll, longPollFor } from '../../src/transports/long-poll.ts';
import { attemptOver, HttpReader, page } from '../support/http-fakes.ts';

describe('long polling', () => {
  test('[POLL-2] asks at once where it stands, then waits at the server', async () => {
    const { asked, reader, attempt } = attemptOver(longPoll, new HttpReader('a'));
    const first = await asked();
    expect(first).toMatchObject({
      path: '/base/v1/poll',
      query: { channel: 'a' },
      headers: { accept: 'application/json', authorization: 'Bearer t' },
    });
    first.answer(200, page({ a: 'e:4' }));
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a', after: 'e:4', wait: '25' });
    expect(reader.told()).toEqual(['ready', 'open a e:4']);
    second.answer(
      200,
      page({ a: 'e:6' }, [
        ['a', 5],
        ['a', 6],
      ]),
    );
    const third = await asked();
    expect(third.query).toMatchObject({ after: 'e:6' });
    expect(reader.told()).toEqual(['a 5', 'a 6']);
    attempt.close();
    expect(third.signal.aborted).toBe(true);
  });

  test.each([
    [40.9, '40'],
    [0, '1'],
    [600, '60'],
  ])('waits for %s s if told to, as far as the server grants it', async (seconds, wait) => {
    const { asked, attempt } = attemptOver(longPollFor(seconds), new HttpReader('a'));
    (await asked()).answer(200, page({ a: 'e:4' }));
    expect((await asked()).query).toEqual({ channel: 'a', after: 'e:4', wait });
    attempt.close();
  });

  test('does not hammer a server that will not wait', async () => {
    const { asked, open, platform, attempt } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(200, page({ a: 'e:0' }));
    (await asked()).answer(200, page({ a: 'e:0' }));
    await platform.clock.pass(999);
    expect(await open()).toEqual([]);
    await platform.clock.pass(1);
    expect(await open()).toHaveLength(1);
    attempt.close();
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('gives up on a question that has no answer in time', async () => {
    const { asked, reader, platform } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(200, page({ a: 'e:0' }));
    await asked();
    await platform.clock.pass(34_999);
    expect(reader.ending).toBeUndefined();
    await platform.clock.pass(1);
    expect(reader.ending).toMatchObject({ kind: 'lost', isTimeout: true });
    expect(platform.clock.timerCount).toBe(0);
  });

  test('asks anew when it is to look for a sign of life, and with a newer token', async () => {
    const { asked, attempt, platform } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(200, page({ a: 'e:0' }));
    const waiting = await asked();
    attempt.renew('newer');
    await platform.clock.settle();
    expect(waiting.isAnswered).toBe(false);
    attempt.probe();
    const anew = await asked();
    expect(waiting.signal.aborted).toBe(true);
    expect(anew.query).toEqual({ channel: 'a', after: 'e:0' });
    expect(anew.headers['authorization']).toBe('Bearer newer');
    attempt.close();
  });

  test('works wherever HTTP does', () => {
    const { platform, attempt } = attemptOver(longPoll, new HttpReader());
    attempt.close();
    expect(longPoll.fault(platform)).toBeUndefined();
  });
});
