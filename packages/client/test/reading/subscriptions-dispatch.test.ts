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
