import { describe, expect, test } from 'vitest';
import { shortPoll, shortPollEvery } from '../../src/transports/short-poll.ts';
import { attemptOver, HttpReader, page } from '../support/http-fakes.ts';

describe('short polling', () => {
  test('[POLL-4] asks at its interval, and is told when nothing is new', async () => {
    const { asked, open, reader, platform, attempt } = attemptOver(
      shortPollEvery(700),
      new HttpReader('a'),
    );
    (await asked()).answer(200, page({ a: 'e:0' }), { etag: 'W/"1"' });
    await platform.clock.pass(699);
    expect(await open()).toEqual([]);
    await platform.clock.pass(1);
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a', after: 'e:0' });
    expect(second.headers['if-none-match']).toBe('W/"1"');
    second.answer(304);
    await platform.clock.pass(700);
    const third = await asked();
    expect(third.query).toEqual({ channel: 'a', after: 'e:0' });
    third.answer(200, page({ a: 'e:1' }, [['a', 1]]));
    await platform.clock.pass(700);
    expect((await asked()).headers).not.toHaveProperty('if-none-match');
    expect(reader.told()).toEqual(['ready', 'open a e:0', 'a 1']);
    attempt.close();
    await platform.clock.settle();
    expect(platform.clock.timerCount).toBe(0);
  });

  test('asks every 2 s, and never without a pause', async () => {
    for (const [transport, intervalMs] of [
      [shortPoll, 2000],
      [shortPollEvery(0), 100],
    ] as const) {
      const { asked, open, platform, attempt } = attemptOver(transport, new HttpReader('a'));
      (await asked()).answer(200, page({ a: 'e:0' }));
      await platform.clock.pass(intervalMs - 1);
      expect(await open()).toEqual([]);
      await platform.clock.pass(1);
      expect(await open()).toHaveLength(1);
      attempt.close();
    }
  });
});
