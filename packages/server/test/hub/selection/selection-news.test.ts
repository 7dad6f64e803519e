import { describe, expect, test } from 'vitest';
import { MessageBatch } from '../../../src/hub/message-batch.ts';
import { SelectionNews } from '../../../src/hub/selection/selection-news.ts';
import { messages } from '../messages.ts';

const place = { mark: '~9', behind: new Map() };

function batch(channel: string, first: number, last: number, epoch = 'e1'): MessageBatch {
  return new MessageBatch(channel, epoch, messages(first, last));
}

describe('what a turn brought to those who wait', () => {
  test('is told by channel, in the order of their names, volatile ones apart', () => {
    const passing = batch('typing', 1, 1, '');
    const [a, b] = [batch('a', 5, 6), batch('b', 1, 1)];
    const news = new SelectionNews([b, passing, a, batch('b', 2, 3)], place);
    expect(news.channels?.map(({ channel, before }) => [channel, before])).toEqual([
      ['a', { epoch: 'e1', offset: 4 }],
      ['b', { epoch: 'e1', offset: 0 }],
    ]);
    expect(news.channels?.map((one) => one.messages.length)).toEqual([2, 3]);
    expect(news.channels?.[0]?.messages).toBe(a.messages);
    expect(news.channels).toBe(news.channels);
    expect(news.passing).toEqual([passing]);
  });

  test('is for the log to tell where a channel does not follow upon itself', () => {
    expect(new SelectionNews([batch('a', 1, 2), batch('a', 4, 5)], place).channels).toBeUndefined();
    const anew = [batch('a', 1, 2), batch('a', 3, 4, 'e2')];
    expect(new SelectionNews(anew, place).channels).toBeUndefined();
    expect(new SelectionNews([], place).channels).toEqual([]);
  });
});
