import { describe, expect, test } from 'vitest';
import { longPoll } from '../../src/transports/long-poll.ts';
import { attemptOver, HttpReader, page } from '../support/http-fakes.ts';

describe('polling', () => {
  test('[POLL-3] asks on at once while there is more', async () => {
    const wish = { filter: 'a', after: 'start' };
    const { asked, reader, attempt } = attemptOver(longPoll, new HttpReader(wish));
    const recovered = { recovered: { a: true } };
    const messages = [
      ['a', 1],
      ['a', 2],
    ] as const;
    (await asked()).answer(200, page({ a: 'e:2' }, messages, { ...recovered, more: true }));
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a', after: 'e:2' });
    second.answer(200, page({ a: 'e:3' }, [['a', 3]], recovered));
    expect((await asked()).query).toMatchObject({ after: 'e:3', wait: '25' });
    expect(reader.told()).toEqual(['ready', 'open a e:0', 'a 1', 'a 2', 'a 3']);
    attempt.close();
  });

  test('[POLL-6] goes on with several by the mark', async () => {
    const { asked, reader, attempt } = attemptOver(
      longPoll,
      new HttpReader({ filter: 'a', last: 2 }, { filter: 'b/#', last: 2 }),
    );
    const first = await asked();
    expect(first.query).toEqual({ channel: 'a,b/#', last: '2' });
    first.answer(200, page({ a: 'e:0', 'b/1': 'e:3' }, [['b/1', 3]], { mark: '~1' }));
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a,b/#', after: '~1', wait: '25' });
    expect(reader.told()).toEqual(['ready', 'open a e:0', 'open b/#', 'b/1 3', 'mark ~1']);
    // Too many have more for one mark: names go on from their places, and patterns were not read.
    second.answer(200, page({ a: 'e:1' }, [['a', 1]], { more: true }));
    expect((await asked()).query).toEqual({ channel: 'a,b/#', after: 'a=e%3A1&b%2F%23=%7E1' });
    attempt.close();
  });

  test('[PRES-11] is one member over all its questions', async () => {
    const wish = { filter: 'a', presence: true };
    const { asked, attempt } = attemptOver(longPoll, new HttpReader(wish));
    const first = await asked();
    expect(first.query).toEqual({ channel: 'a', presence: '1' });
    first.answer(200, page({ a: 'e:0' }, [], { session: 'me' }));
    expect((await asked()).query).toMatchObject({ presence: '1', session: 'me' });
    attempt.probe();
    expect((await asked()).query).toEqual({
      ...{ channel: 'a', presence: '1', session: 'me', after: 'e:0' },
    });
    attempt.close();
  });

  test.each([{}, { more: true }])(
    'asks a server no faster that gives the same answer again and again %j',
    async (others) => {
      const { open, platform, attempt } = attemptOver(longPoll, new HttpReader('a'));
      const answer = page({ a: 'e:2' }, [['a', 2]], others);
      for (let ms = 0; ms < 10_000; ms += 10) {
        for (const request of await open()) request.answer(200, answer);
        await platform.clock.pass(10);
      }
      expect(platform.requests.length).toBeLessThan(15);
      attempt.close();
    },
  );

  test('[VOL-1] asks on at once behind messages that have no place', async () => {
    const { asked, attempt } = attemptOver(longPoll, new HttpReader('v'));
    const volatile = { ...page({}), volatile: ['v'], messages: [{ channel: 'v', data: 1 }] };
    (await asked()).answer(200, volatile);
    (await asked()).answer(200, volatile);
    expect((await asked()).query).toEqual({ channel: 'v', wait: '25' });
    attempt.close();
  });

  test('does not ask while there is no room', async () => {
    const { asked, open, reader, platform, attempt } = attemptOver(longPoll, new HttpReader('a'));
    reader.hold();
    (await asked()).answer(200, page({ a: 'e:0' }));
    await platform.clock.pass(60_000);
    expect(await open()).toEqual([]);
    reader.release();
    expect(await open()).toHaveLength(1);
    attempt.close();
  });

  test.each([
    ['no JSON', '<html>'],
    ['no positions', { messages: [] }],
    ['no position of a channel', page({ b: 'e:0' })],
  ])('is refused when the answer has %s', async (_, body) => {
    const { asked, reader, platform } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(200, body);
    (await asked()).answer(200, page({ a: 'e:0' })); // Which filter it was.
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({ kind: 'refused', error: { code: 'bad_request' } });
  });

  test('is not opened by an answer that nothing has changed since none', async () => {
    const { asked, reader, platform } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(304);
    await platform.clock.settle();
    expect(reader.told()).toEqual(['end refused']);
  });

  test('is lost with the time to wait when the server is away', async () => {
    const { asked, reader, platform } = attemptOver(longPoll, new HttpReader('a'));
    (await asked()).answer(503, { code: 'draining', retryAfter: 700 });
    await platform.clock.settle();
    expect(reader.ending).toMatchObject({ kind: 'lost', hint: { notBeforeMs: 700 } });
    expect(reader.told()).toEqual(['end lost']);
  });
});
