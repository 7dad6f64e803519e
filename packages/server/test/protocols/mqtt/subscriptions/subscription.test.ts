import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../../../src/protocols/mqtt/delivery/delivery.ts';
import type { BatchEnd } from '../../../../src/protocols/mqtt/messages/place.ts';
import { Encodings } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import { SentPlace } from '../../../../src/protocols/mqtt/delivery/sent-place.ts';
import { Subscription } from '../../../../src/protocols/mqtt/subscriptions/subscription.ts';
import type { Loss } from '../../../../src/protocols/mqtt/session/losses.ts';
import type { FilterOptions } from '../../../../src/protocols/mqtt/messages/form.ts';

const OPTIONS = { qos: 1, noLocal: false, retainAsPublished: false } as const;
const FORM = { version: 5, qos: 1, retainAsPublished: false, ids: [], positions: false } as const;

/** A subscription whose delivery does at once what it is asked to. */
function subscribe(filter: string, base?: string, options: Partial<FilterOptions> = {}) {
  const losses: Loss[] = [];
  const encodings = new Encodings({ unixMs: () => 0 });
  const made: FilterOptions[] = [];
  const delivery = {
    reach: (outlet: Subscription['link'], end: BatchEnd) => outlet.place?.reach(end),
  } as Pick<Delivery, 'reach'> as Delivery;
  const subscription = new Subscription(
    { ...OPTIONS, filter, ...options },
    {
      delivery,
      encodingFor: (one) => {
        made.push(one.options);
        return encodings.of({ ...FORM, qos: one.options.qos });
      },
      onLoss: (loss) => losses.push(loss),
    },
  );
  if (base !== undefined) subscription.place = new SentPlace(base);
  return { subscription, losses, made };
}

/** They match the same channels. */
function relate(...subscriptions: readonly Subscription[]): void {
  for (const one of subscriptions) {
    for (const other of subscriptions) if (one !== other) one.join(other);
  }
}

describe('Subscription', () => {
  it('makes its encoding when it is asked for it, and again when that has changed', () => {
    const { subscription, made } = subscribe('a');
    expect(made).toHaveLength(0);
    const first = subscription.encoding;
    expect(subscription.encoding).toBe(first);
    subscription.options = { ...subscription.options, qos: 2 };
    subscription.forgetEncoding();
    expect(made).toHaveLength(1);
    expect(subscription.encoding).not.toBe(first);
  });

  it('stands where it was sent, and so do others in the channels that they match', () => {
    const name = subscribe('a/x', 'e:5').subscription;
    const pattern = subscribe('a/+', '~m').subscription;
    const elsewhere = subscribe('+/y', '~m').subscription;
    const unkept = subscribe('a/#').subscription;
    relate(name, pattern, elsewhere, unkept);
    name.reachPlace({ channel: 'a/x', epoch: 'e', offset: 6 });
    name.reach({ mark: undefined, places: [{ channel: 'a/x', epoch: 'e', offset: 7 }] });
    expect(String(name.place)).toBe('e:7');
    const moved = subscribe('a/+', '~m').subscription;
    moved.reachPlace({ channel: 'a/x', epoch: 'e', offset: 7 });
    expect(String(pattern.place)).toBe(String(moved.place));
    expect(String(elsewhere.place)).toBe('~m');
    expect(unkept.place).toBeUndefined();
  });

  it('tells others what it was sent after it was given up', () => {
    const gone = subscribe('a/x').subscription;
    const pattern = subscribe('a/+', '~m').subscription;
    gone.join(pattern);
    gone.reachPlace({ channel: 'a/x', epoch: 'e', offset: 7 });
    expect(String(pattern.place)).not.toBe('~m');
  });

  it('moves to a mark, and past what is lost', () => {
    const { subscription, losses } = subscribe('a/+', '~m');
    subscription.onMark(['a/+'], '~n');
    expect(String(subscription.place)).toBe('~n');
    const gap = { reason: 'trimmed', from: 1, to: 4 } as const;
    subscription.onGap('a/x', gap, { epoch: 'e', offset: 4 });
    expect(String(subscription.place)).not.toBe('~n');
    expect(losses).toEqual([{ channel: 'a/x', gap }]);
  });

  it('tells no loss where at most once is what was promised', () => {
    const { subscription, losses } = subscribe('a', undefined, { qos: 0 });
    const gap = { reason: 'epoch' } as const;
    subscription.onGap('a', gap, { epoch: 'e', offset: 4 });
    expect(losses).toEqual([]);
    // But where another one that matches asks for more.
    subscription.link.qos = 1;
    subscription.onGap('a', gap, { epoch: 'e', offset: 4 });
    expect(losses).toHaveLength(1);
  });
});
