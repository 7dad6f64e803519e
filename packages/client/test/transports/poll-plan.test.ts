import { describe, expect, test } from 'vitest';
import { longPoll } from '../../src/transports/long-poll.ts';
import { attemptOver, HttpReader, page } from '../support/http-fakes.ts';

describe('what can not begin in one poll', () => {
  const marks = [
    { filter: 'a/#', after: '~3' },
    { filter: 'b/#', after: '~5' },
    { filter: 'c/#' },
    { filter: 'n', after: 'e:1' },
  ];

  test('[POLL-6] is brought up to the present, and goes on from the oldest mark', async () => {
    const { attempt, reader, asked, open, platform } = attemptOver(
      longPoll,
      new HttpReader(...marks),
    );
    const first = await asked();
    expect(first.query).toEqual({ channel: 'a/#', after: '~3' });
    first.answer(200, page({ 'a/1': 'e:9' }, [['a/1', 9]], { mark: '~8', more: true }));
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a/#', after: '~8' });
    second.answer(200, page({}, [], { mark: '~10' }));
    const third = await asked();
    expect(third.query).toEqual({ channel: 'b/#', after: '~5' });
    third.answer(200, page({ 'b/1': 'e:2' }, [['b/1', 2]], { mark: '~11' }));
    const fourth = await asked();
    expect(fourth.query).toEqual({ channel: 'c/#' });
    fourth.answer(200, page({}, [], { mark: '~12' }));
    const all = await asked();
    expect(all.query['channel']).toBe('a/#,b/#,c/#,n');
    expect([...new URLSearchParams(all.query['after'])]).toEqual([
      ...[
        ['a/#', '~10'],
        ['b/#', '~10'],
        ['c/#', '~10'],
        ['n', 'e:1'],
      ],
    ]);
    expect(reader.told()).toEqual([
      ...['ready', 'open a/# ~3', 'a/1 9', 'mark ~8', 'open a/# ~10', 'mark ~10'],
      ...['open b/# ~5', 'b/1 2', 'mark ~11', 'open c/# ~12', 'mark ~12'],
    ]);
    all.answer(200, page({ n: 'e:1' }, [], { mark: '~13' }));
    expect((await open()).map(({ query }) => query['after'])).toEqual(['~13']);
    expect(platform.requests).toHaveLength(6);
    attempt.close();
  });

  test('is one `last` beside another or none; volatile channels have neither', async () => {
    const wishes = [
      { filter: 'v', last: 5 },
      { filter: 'a' },
      { filter: 'b', last: 9, presence: true },
    ];
    const { attempt, asked } = attemptOver(longPoll, new HttpReader(...wishes));
    const first = await asked();
    expect(first.query).toEqual({ channel: 'v', last: '5' });
    first.answer(200, page({}, [], { volatile: ['v'], mark: '~1' }));
    const second = await asked();
    expect(second.query).toEqual({ channel: 'a' });
    second.answer(200, page({ a: 'e:4' }, [], { mark: '~2' }));
    expect((await asked()).query).toEqual({
      ...{ channel: 'v,a,b', after: 'a=e%3A4', last: '9', presence: '1' },
    });
    attempt.close();
  });

  test('[WILD-4] begins where somebody stands who joined while it was brought up', async () => {
    const reader = new HttpReader({ filter: 'a/#', after: '~5' }, { filter: 'b/#', after: '~6' });
    const { attempt, asked } = attemptOver(longPoll, reader);
    const first = await asked();
    expect(first.query).toMatchObject({ channel: 'a/#', after: '~5' });
    // With the answer the wish is the older one's.
    reader.onWord = (word) => word === 'mark ~7' && reader.want({ filter: 'a/#', after: '~2' });
    first.answer(200, page({}, [], { mark: '~7', recovered: { 'a/#': true } }));
    expect((await asked()).query).toMatchObject({ channel: 'a/#', after: '~2' });
    attempt.close();
  });

  test('[POLL-10] is no name beside a pattern that matches it', async () => {
    const wishes = [{ filter: 'a/#', after: '~3' }, { filter: 'a/1', last: 4 }, 'v'];
    const { attempt, reader, asked, open } = attemptOver(longPoll, new HttpReader(...wishes));
    reader.wishes.delete('v');
    const first = await asked();
    expect(first.query).toEqual({ channel: 'a/#,a/1', after: 'a%2F%23=%7E3', last: '4' });
    const messages = [5, 6, 7, 8].map((offset) => ['a/1', offset] as const);
    const starts = { 'a/1': 'e:6' };
    first.answer(200, page({ 'a/1': 'e:8' }, messages, { starts, mark: '~5' }));
    expect((await open()).map(({ query }) => query['after'])).toEqual(['~5']);
    expect(reader.told()).toEqual([
      ...['ready', 'open a/# ~3', 'open a/1 e:6', 'a/1 5', 'a/1 6', 'a/1 7', 'a/1 8', 'mark ~5'],
    ]);
    attempt.close();
  });

  test('is not what patterns have in common', async () => {
    const wishes = ['a/#', 'a/+', '#'].map((filter) => ({ filter, after: '~1' }));
    const { attempt, asked } = attemptOver(longPoll, new HttpReader(...wishes, 'n'));
    const first = await asked();
    expect(first.query['channel']).toBe('a/#,a/+,#,n');
    attempt.close();
  });

  test('hears what is revised meanwhile', async () => {
    const { attempt, reader, asked } = attemptOver(longPoll, new HttpReader(...marks));
    const first = await asked();
    reader.wishes.delete('b/#');
    reader.wishes.delete('c/#');
    attempt.revise('b/#');
    first.answer(200, page({}, [], { mark: '~4' }));
    expect((await asked()).query).toEqual({ channel: 'a/#,n', after: 'a%2F%23=%7E4&n=e%3A1' });
    attempt.close();
  });
});
