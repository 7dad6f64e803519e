import type { Line, Transport } from '@trunkline/client';
import { describe, expect, test } from 'vitest';
import { formatViolation } from '../src/history-checker.ts';
import type { BrokenPromise } from '../src/history.ts';
import { runLineSimulation } from '../src/line-simulation.ts';
import type { Tamper } from '../src/line-simulation.ts';

const STEPS = 300;

/** Some mistakes show in few runs. */
const PLANTED_SEEDS_MAX = 40;

/** Runs seeds until one shows that a promise is broken; answers with all that were broken. */
async function promisesBrokenBy(tamper: Tamper, promise: BrokenPromise) {
  const broken = new Set<BrokenPromise>();
  for (let seed = 1; seed <= PLANTED_SEEDS_MAX && !broken.has(promise); seed += 1) {
    const { violations } = await runLineSimulation({ seed, steps: STEPS, tamper });
    for (const violation of violations) broken.add(violation.promise);
  }
  return broken;
}

/** A transport whose attempts ask for something else than they were told to. */
function asking(change: (members: string) => string): Tamper {
  const transport = (one: Transport): Transport => ({
    ...one,
    open: (target, sink, platform) => {
      const attempt = one.open(target, sink, platform);
      const request = attempt.request.bind(attempt);
      attempt.request = (ask) =>
        request('members' in ask ? { ...ask, members: change(ask.members) } : ask);
      return attempt;
    },
  });
  return { transport };
}

/** The readers of a line, changed before anybody reads. */
function reading(change: (subscriptions: Line['subscriptions']) => void): Tamper {
  return { line: (line) => change(line.subscriptions) };
}

describe('runLineSimulation', () => {
  test.each([1, 11, 21, 31, 41, 51])('keeps all promises in ten seeds from %i', async (from) => {
    for (let seed = from; seed < from + 10; seed += 1) {
      const { violations } = await runLineSimulation({ seed, steps: STEPS });
      expect(violations.map(formatViolation), `seed ${seed}`).toEqual([]);
    }
  });

  test.each([101, 111, 121, 131, 141, 151])(
    'keeps all promises where names and patterns overlap, in ten seeds from %i [APART-1]',
    async (from) => {
      for (let seed = from; seed < from + 10; seed += 1) {
        const { violations } = await runLineSimulation({ seed, steps: STEPS, overlaps: true });
        expect(violations.map(formatViolation), `seed ${seed}`).toEqual([]);
      }
    },
  );

  test('makes enough happen to mean something', async () => {
    const totals = { acknowledged: 0, refused: 0, begun: 0, heard: 0, gaps: 0, crashes: 0 };
    for (let seed = 1; seed <= 10; seed += 1) {
      const { summary } = await runLineSimulation({ seed, steps: STEPS });
      totals.acknowledged += summary.acknowledged;
      totals.refused += summary.refused;
      totals.begun += summary.begun;
      totals.heard += summary.heard;
      totals.gaps += summary.gaps;
      totals.crashes += summary.crashes;
    }
    expect(totals.acknowledged).toBeGreaterThan(1_000);
    expect(totals.refused).toBeGreaterThan(50);
    expect(totals.begun).toBeGreaterThan(500);
    expect(totals.heard).toBeGreaterThan(2_000);
    expect(totals.gaps).toBeGreaterThan(50);
    expect(totals.crashes).toBeGreaterThan(10);
  });

  test('gives the same run for the same seed', async () => {
    const first = await runLineSimulation({ seed: 7, steps: STEPS });
    expect(await runLineSimulation({ seed: 7, steps: STEPS })).toEqual(first);
    const other = await runLineSimulation({ seed: 8, steps: STEPS });
    expect(other.summary).not.toEqual({ ...first.summary, seed: 8 });
  });
});

describe('runLineSimulation notices a client', () => {
  test('whose places take what they have', async () => {
    const tamper = reading((subscriptions) => {
      const add = subscriptions.add.bind(subscriptions);
      subscriptions.add = (subscription) => {
        const { place } = subscription;
        const take = place.take.bind(place);
        place.take = (channel, position) => take(channel, position) || true;
        add(subscription);
      };
    });
    expect(await promisesBrokenBy(tamper, 3)).toContain(3);
  });

  test('that asks for what is new instead of going on', async () => {
    const tamper = reading((subscriptions) => {
      const wish = subscriptions.wish.bind(subscriptions);
      subscriptions.wish = (filter) => {
        const { after: _after, ...rest } = wish(filter) ?? { filter: '' };
        return rest.filter === '' ? undefined : rest;
      };
    });
    expect(await promisesBrokenBy(tamper, 2)).toContain(2);
  });

  test('that reads nothing over a connection that is not its first', async () => {
    const tamper: Tamper = {
      transport: (one) => {
        let attempts = 0;
        return {
          ...one,
          open: (target, sink, platform) => {
            attempts += 1;
            const keys = attempts === 1 ? sink.keys : () => [];
            return one.open(target, { ...sink, keys }, platform);
          },
        };
      },
    };
    expect(await promisesBrokenBy(tamper, 2)).toContain(2);
  });

  test('that tells nobody of what an opening lost', async () => {
    const tamper = reading((subscriptions) => {
      const onOpen = subscriptions.onOpen.bind(subscriptions);
      subscriptions.onOpen = ({ gap: _gap, ...opening }, key) => onOpen(opening, key);
    });
    expect(await promisesBrokenBy(tamper, 2)).toContain(2);
  });

  test('that tells nobody of losses', async () => {
    const tamper = reading((subscriptions) => {
      subscriptions.onGap = () => {};
    });
    expect(await promisesBrokenBy(tamper, 2)).toContain(2);
  });

  test('that does not hear who has come', async () => {
    const tamper = reading((subscriptions) => {
      const onOther = subscriptions.onOther.bind(subscriptions);
      subscriptions.onOther = (event) => {
        if (event.kind !== 'join') onOther(event);
      };
    });
    expect(await promisesBrokenBy(tamper, 'presence')).toContain('presence');
  });

  test('that does not hear who has gone', async () => {
    const tamper = reading((subscriptions) => {
      const onOther = subscriptions.onOther.bind(subscriptions);
      subscriptions.onOther = (event) => {
        if (event.kind !== 'leave') onOther(event);
      };
    });
    expect(await promisesBrokenBy(tamper, 'presence')).toContain('presence');
  });

  test('that publishes without its keys', async () => {
    const tamper = asking((members) => members.replace(/,"key":"[^"]*"/, ''));
    expect(await promisesBrokenBy(tamper, 6)).toContain(6);
  });

  test('that sends the same with other keys', async () => {
    let sent = 0;
    const tamper = asking((members) => {
      sent += 1;
      return members.replace(/,"key":"[^"]*"/, `,"key":"another-${sent}"`);
    });
    expect(await promisesBrokenBy(tamper, 6)).toContain(6);
  });

  test('that leaves a timer behind', async () => {
    const tamper: Tamper = {
      transport: (one) => ({
        ...one,
        open: (target, sink, platform) => {
          platform.clock.after(1_000_000_000, () => {});
          return one.open(target, sink, platform);
        },
      }),
    };
    expect(await promisesBrokenBy(tamper, 'unasked')).toContain('unasked');
  });
});
