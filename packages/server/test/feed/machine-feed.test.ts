import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { MachineFeed, METRICS_CHANNEL } from '../../src/feed/machine-feed.ts';
import type { FeedCounts } from '../../src/feed/machine-feed.ts';
import type { Caller, PublishRequest } from '../../src/hub/hub-types.ts';
import { silentLog } from '../../src/observe/log.ts';

interface Published {
  readonly caller: Caller;
  readonly channel: string;
  readonly data: {
    readonly cpu: number[];
    readonly links: unknown;
    readonly mqtt: unknown;
    readonly hub: unknown;
    readonly rates: { readonly published: number; readonly delivered: number };
  };
}

function setUp() {
  const clock = new ManualClock();
  const published: Published[] = [];
  const counts = {
    links: { websocket: 1, sse: 2, polls: 3 },
    mqtt: { tcp: 7, tls: 8, websocket: 1 },
    published: 0,
    delivered: 0,
    ...{ channels: 4, subscriptions: 5, members: 6 },
  };
  const state: { failure: Error | undefined } = { failure: undefined };
  const feed = new MachineFeed({
    clock,
    log: silentLog,
    counts: (): FeedCounts => ({ ...counts }),
    hub: {
      publish(caller: Caller, channel: string, { payload }: PublishRequest) {
        if (state.failure !== undefined) return Promise.reject(state.failure);
        published.push({ caller, channel, data: JSON.parse(new TextDecoder().decode(payload)) });
        return Promise.resolve();
      },
    },
  });
  return { clock, counts, feed, published, state };
}

describe('the machine feed', () => {
  test('publishes the load once a second, with rates since the last time', async () => {
    const { clock, counts, feed, published } = setUp();
    feed.start();
    counts.published = 50;
    counts.delivered = 5_000;
    await clock.pass(1_000);
    counts.published = 70;
    await clock.pass(1_000);
    feed.stop();
    await clock.pass(5_000);
    expect(published.map(({ channel }) => channel)).toEqual([METRICS_CHANNEL, METRICS_CHANNEL]);
    expect(published.map(({ data }) => data.rates)).toEqual([
      { published: 50, delivered: 5_000 },
      { published: 20, delivered: 0 },
    ]);
    expect(published[0]?.data.links).toEqual({ websocket: 1, sse: 2, polls: 3 });
    expect(published[0]?.data.mqtt).toEqual({ tcp: 7, tls: 8, websocket: 1 });
    expect(published[0]?.data.hub).toEqual({ channels: 4, subscriptions: 5, members: 6 });
    expect(published[0]?.caller.identity.kind).toBe('server');
    expect(clock.timerCount).toBe(0);
  });

  test('goes on after a publish that failed', async () => {
    const { clock, feed, published, state } = setUp();
    feed.start();
    state.failure = new Error('the disk is full');
    await clock.pass(2_000);
    state.failure = undefined;
    await clock.pass(1_000);
    feed.stop();
    expect(published).toHaveLength(1);
  });
});
