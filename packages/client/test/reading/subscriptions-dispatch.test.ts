import { describe, expect, test } from 'vitest';
import { Subscription } from '../../src/reading/subscription.ts';
import type { ReadingOptions } from '../../src/reading/subscription.ts';
import { Subscriptions } from '../../src/reading/subscriptions.ts';

/** Readers that have begun, and all that they were told since, as short words. */
class Readers {
  readonly told: string[] = [];
  readonly revised: string[] = [];
  readonly subscriptions = new Subscriptions({
    onRevise: (filter) => void this.revised.push(filter),
    session: () => undefined,
  });

  constructor(...filters: readonly string[]) {
    this.subscriptions.restart(false);
    for (const filter of filters) this.add(filter);
  }

  add(filter: string, options: ReadingOptions = {}): void {
    const listener = {
      onEvent: (event: object) => {
        const { kind, channel, offset } = event as {
          kind: string;
          channel: string;
          offset?: number;
        };
        if (kind !== 'open') this.told.push(`${filter}: ${kind} ${channel} ${offset ?? ''}`.trim());
      },
      onEnd: () => {},
    };
    this.subscriptions.add(new Subscription(filter, options, listener));
    this.subscriptions.wish(filter);
    const at = /[+#]/.test(filter) ? { mark: '~1' } : { position: 'e:1' };
    this.subscriptions.onOpen({ kind: 'open', channel: filter, ...at }, filter);
  }

  message(channel: string, offset: number, keys: readonly string[]): void {
    const message = { kind: 'message', channel, epoch: 'e', offset, data: 1 } as const;
    this.subscriptions.onMessage(message, keys);
  }

  gap(channel: string, position: string, keys: readonly string[]): void {
    const gap = { reason: 'trimmed' } as const;
    this.subscriptions.onGap({ kind: 'gap', channel, gap, position }, keys);
  }
}

describe('subscriptions hand', () => {
  test('[APART-2] a message to what it was told for, whatever else matches', () => {
    const readers = new Readers('a/1', 'b/1', 'a/+', 'b/+');
    readers.message('a/1', 2, ['a/+']);
    readers.message('a/1', 2, ['a/1']);
    readers.message('a/1', 3, ['nobody']);
    expect(readers.told).toEqual(['a/+: message a/1 2', 'a/1: message a/1 2']);
  });

  test('[WILD-4] a message of one read to those of the read that match its channel', () => {
    const readers = new Readers('a/1', 'b/1', 'a/+', 'b/+', '#');
    readers.message('a/1', 2, ['a/1', 'b/1', 'a/+', 'b/+']);
    expect(readers.told).toEqual(['a/1: message a/1 2', 'a/+: message a/1 2']);
  });

  test('[WILD-5] a loss of one read to those of the read that match its channel', () => {
    const readers = new Readers('a/1', 'b/1', 'a/+', 'b/+', '#');
    readers.gap('a/1', 'e:7', ['a/1', 'b/1', 'b/+', '#']);
    expect(readers.told).toEqual(['a/1: gap a/1', '#: gap a/1']);
  });
});

test('[REC-1] who begins with the oldest message is told where that is, also by the opening of another', () => {
  const openings: object[] = [];
  const subscriptions = new Subscriptions({ onRevise: () => {}, session: () => undefined });
  subscriptions.restart(true);
  for (const after of ['0:0', 'start']) {
    const listener = { onEvent: (event: object) => void openings.push(event), onEnd: () => {} };
    subscriptions.add(new Subscription('a', { after }, listener));
  }
  expect(subscriptions.wish('a')).toMatchObject({ after: '0:0' });
  subscriptions.onOpen({ kind: 'open', channel: 'a', position: '0:0', recovered: true }, 'a');
  const opening = { kind: 'open', channel: 'a', position: '0:0', recovered: true };
  expect(openings).toEqual([opening, opening]);
});

test('[REC-3] who stands in another life than an opening begins with is asked for by itself', () => {
  const subscriptions = new Subscriptions({ onRevise: () => {}, session: () => undefined });
  subscriptions.restart(true);
  const openings: object[] = [];
  const listener = { onEvent: (event: object) => void openings.push(event), onEnd: () => {} };
  for (const after of ['f:13', '0:0'])
    subscriptions.add(new Subscription('a', { after }, listener));
  expect(subscriptions.wish('a')).toMatchObject({ after: '0:0' });
  const opening = { kind: 'open', channel: 'a', position: 'e:0', recovered: true } as const;
  subscriptions.onOpen(opening, 'a');
  expect(openings).toEqual([opening]);
  expect(subscriptions.wish('a')).toMatchObject({ after: 'f:13' });
  const lost = { ...opening, position: 'e:1', recovered: false, gap: { reason: 'epoch' } } as const;
  subscriptions.onOpen(lost, 'a');
  expect(openings).toEqual([opening, lost]);
});

test('[VOL-1] whoever joins a volatile channel that was asked for from the start is told no place', async () => {
  const openings: object[] = [];
  const subscriptions = new Subscriptions({ onRevise: () => {}, session: () => undefined });
  subscriptions.restart(true);
  const listener = { onEvent: (event: object) => void openings.push(event), onEnd: () => {} };
  subscriptions.add(new Subscription('v', { after: 'start' }, listener));
  subscriptions.wish('v');
  subscriptions.onOpen({ kind: 'open', channel: 'v', volatile: true }, 'v');
  subscriptions.add(new Subscription('v', {}, listener));
  await Promise.resolve();
  expect(openings).toEqual([
    { kind: 'open', channel: 'v', volatile: true },
    { kind: 'open', channel: 'v' },
  ]);
});

test('[REC-3] what expired in another life of a channel hides no loss', () => {
  const readers = new Readers('a');
  readers.subscriptions.onExpired('a', '0:0');
  const message = { kind: 'message', channel: 'a', epoch: 'f', offset: 1, data: 1 } as const;
  readers.subscriptions.onMessage(message, ['a']);
  expect(readers.told).toEqual(['a: gap a', 'a: message a 1']);
});

describe('who read one pattern', () => {
  /** Readers of `#`, what is asked for them, and what each was told. */
  class Pattern {
    readonly told: string[] = [];
    readonly revised: string[] = [];
    readonly subscriptions = new Subscriptions({
      onRevise: (key) => void this.revised.push(key),
      session: () => undefined,
    });

    constructor() {
      this.subscriptions.restart(true);
    }

    add(name: string, options: ReadingOptions = {}): Subscription {
      const one = new Subscription('#', options, {
        onEvent: (event) => {
          const what = 'offset' in event ? event.offset : 'mark' in event ? event.mark : '';
          this.told.push(`${name} ${event.kind} ${what}`);
        },
        onMark: (mark) => void this.told.push(`${name} reaches ${mark}`),
        onEnd: () => this.told.push(`${name} ends`),
      });
      this.subscriptions.add(one);
      return one;
    }

    open(key: string, mark: string): void {
      this.subscriptions.wish(key);
      this.subscriptions.onOpen({ kind: 'open', channel: '#', mark }, key);
    }

    message(offset: number, key: string, mark?: string): void {
      const message = { kind: 'message', channel: 'a', epoch: 'e', offset, data: 1 } as const;
      this.subscriptions.onMessage({ ...message, ...(mark !== undefined && { mark }) }, [key]);
    }
  }

  test('have a wire in common where they begin alike, before it has opened', () => {
    const pattern = new Pattern();
    const { subscriptions } = pattern;
    pattern.add('one');
    pattern.add('two');
    pattern.add('three', { last: 5 });
    pattern.add('four', { after: '~1' });
    pattern.add('five', { after: '~1', echo: false });
    expect(subscriptions.keys().map((key) => subscriptions.wish(key))).toEqual([
      ...[{ filter: '#' }, { filter: '#', last: 5 }, { filter: '#', after: '~1' }],
      { filter: '#', after: '~1', echo: false },
    ]);
    pattern.open('#', '~7');
    expect(pattern.told).toEqual(['one open ~7', 'two open ~7']);
    pattern.add('six');
    expect(subscriptions.keys()).toHaveLength(5);
    expect(subscriptions.inspect()).toMatchObject([{ filter: '#', subscriptions: { size: 6 } }]);
  });

  test('[WILD-2] have one in common from the first mark on that both have come to', () => {
    const pattern = new Pattern();
    const { subscriptions } = pattern;
    pattern.add('one', { after: '~1' });
    pattern.add('two', { after: '~5' });
    const [first = '', second = ''] = subscriptions.keys();
    pattern.open(first, '~1');
    pattern.open(second, '~5');
    pattern.message(5, first);
    pattern.message(6, first, '~6');
    pattern.message(6, second);
    subscriptions.onMark([second], '~6');
    expect(subscriptions.keys()).toEqual([first]);
    expect(pattern.revised).toEqual([second]);
    pattern.told.length = 0;
    pattern.message(7, second);
    pattern.message(7, first);
    expect(pattern.told).toEqual(['one message 7', 'two message 7']);
  });

  test('have none in common at a mark behind which one of them was told more', () => {
    const pattern = new Pattern();
    const { subscriptions } = pattern;
    pattern.add('one', { after: '~1' });
    pattern.add('two', { after: '~5' });
    const [first = '', second = ''] = subscriptions.keys();
    pattern.open(first, '~1');
    pattern.open(second, '~5');
    pattern.message(6, first, '~6');
    pattern.message(7, first);
    pattern.message(6, second, '~6');
    expect(subscriptions.keys()).toEqual([first, second]);
    pattern.message(7, second, '~7');
    expect(subscriptions.keys()).toHaveLength(2);
    subscriptions.onMark([first], '~7');
    expect(subscriptions.keys()).toEqual([second]);
  });

  test('have one in common where an opening begins at the mark of the other, and when it restarts', () => {
    const pattern = new Pattern();
    const { subscriptions } = pattern;
    pattern.add('one');
    pattern.open('#', '~7');
    pattern.add('two');
    const second = subscriptions.keys()[1] ?? '';
    pattern.open(second, '~7');
    expect(subscriptions.keys()).toEqual(['#']);
    expect(pattern.told).toEqual(['one open ~7', 'two open ~7']);
    pattern.message(8, '#');
    pattern.add('three', { after: '~7' });
    expect(subscriptions.keys()).toHaveLength(2);
    subscriptions.restart(true);
    expect(subscriptions.keys()).toEqual(['#']);
  });

  test('leave the wire while they are paused, and come back by one of their own', () => {
    const pattern = new Pattern();
    const { subscriptions } = pattern;
    const slow = pattern.add('slow');
    pattern.add('fast');
    pattern.open('#', '~1');
    subscriptions.pause(slow);
    pattern.message(1, '#', '~2');
    subscriptions.resume(slow);
    expect(subscriptions.keys().map((key) => subscriptions.wish(key)?.after)).toEqual(['~2', '~1']);
    subscriptions.remove(slow);
    expect(subscriptions.keys()).toEqual(['#']);
    subscriptions.pause(slow);
    subscriptions.resume(slow);
    expect(subscriptions.keys()).toEqual(['#']);
  });

  test('are all told when nothing can be read any more, also those that are paused', () => {
    const pattern = new Pattern();
    const slow = pattern.add('slow');
    pattern.add('fast');
    pattern.subscriptions.pause(slow);
    pattern.subscriptions.end(new Error('over'));
    expect(pattern.told).toEqual(['slow ends', 'fast ends']);
    expect(pattern.subscriptions.keys()).toEqual([]);
  });
});
