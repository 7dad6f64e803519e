import { describe, expect, test } from 'vitest';
import {
  publishedFrame,
  subscribedFrame,
  toSubscribeRequest,
} from '../../../src/protocols/native/answers.ts';

describe('a subscribe command', () => {
  test('without more begins from now, with its own messages', () => {
    expect(toSubscribeRequest({ type: 'subscribe', id: 1, channel: 'a' })).toEqual({
      channel: 'a',
      start: {},
      presence: false,
      echo: true,
      snapshot: false,
    });
  });

  test('says where it begins, and what it wants', () => {
    const command = {
      ...({ type: 'subscribe', id: 1, channel: 'a/+', after: '~7', last: 3 } as const),
      ...({ partial: true, presence: true, echo: false, snapshot: true } as const),
    };
    expect(toSubscribeRequest(command)).toEqual({
      channel: 'a/+',
      start: { after: { kind: 'mark', mark: '~7' }, last: 3, partial: true },
      presence: true,
      echo: false,
      snapshot: true,
    });
  });
});

function subscribe(channel: string) {
  return { type: 'subscribe', id: 1, channel } as const;
}

describe('the answer to a subscribe', () => {
  test('of a channel has its position, of a pattern its mark [WS-13] [WS-17]', () => {
    const position = { epoch: 'e1', offset: 4 };
    const [name, pattern] = [subscribe('a'), subscribe('a/+')];
    expect(subscribedFrame(name, { position, recovered: true })).toEqual({
      ...{ type: 'subscribed', id: 1, channel: 'a', position: 'e1:4', recovered: true },
    });
    expect(subscribedFrame(pattern, { mark: '~7' })).toEqual({
      ...{ type: 'subscribed', id: 1, channel: 'a/+', mark: '~7' },
    });
  });

  test('of a volatile channel has neither [VOL-1]', () => {
    expect(subscribedFrame(subscribe('a'), { volatile: true })).toEqual({
      ...{ type: 'subscribed', id: 1, channel: 'a', volatile: true },
    });
  });

  test('has the number of one that stands apart [APART-2]', () => {
    expect(subscribedFrame({ ...subscribe('a'), as: 7 }, { volatile: true })).toEqual({
      ...{ type: 'subscribed', id: 1, channel: 'a', as: 7, volatile: true },
    });
  });
});

describe('the answer to a publish', () => {
  test('has the place in the log, or says that there is none [VOL-1]', () => {
    expect(publishedFrame(2, 'a', { epoch: 'e1', offset: 4 })).toEqual({
      ...{ type: 'published', id: 2, channel: 'a', offset: 4, epoch: 'e1', position: 'e1:4' },
    });
    expect(publishedFrame(2, 'a', undefined)).toEqual({
      ...{ type: 'published', id: 2, channel: 'a', volatile: true },
    });
  });
});
