/** Ladders of transports that open nothing, and what a page remembers of them. */
import { ManualClock } from '@trunkline/testkit';
import { expect } from 'vitest';
import { Ladder } from '../../src/connection/ladder.ts';
import type { LadderMemory } from '../../src/connection/ladder.ts';
import type { Transport, TransportName } from '../../src/transports/transport.ts';
import type { Ending } from '../../src/ending.ts';
import { fakePlatform } from './fakes.ts';

/** The usual order. */
export const ALL = ['websocket', 'sse', 'long-poll'] as const;

/** A transport, with a reason why it can't work here or without. */
export function transport(name: TransportName, fault?: string): Transport {
  return {
    name,
    fault: () => fault,
    open: () => expect.unreachable('a ladder opens nothing'),
  };
}

/** What a page keeps in its storage. */
export class Kept implements LadderMemory {
  text: string | null = null;
  writes = 0;

  read(): string | null {
    return this.text;
  }

  write(text: string): void {
    this.text = text;
    this.writes += 1;
  }
}

/** How an attempt ended, in silence or not. */
export function ended(reason: string, isTimeout = false): Ending {
  return { kind: 'lost', reason, isTimeout };
}

/** A ladder of these names; random numbers are a half. */
export function ladderOf(given: {
  clock?: ManualClock;
  memory?: LadderMemory;
  names?: readonly TransportName[];
  random?: () => number;
}) {
  const clock = given.clock ?? new ManualClock({ monotonicMs: 1 });
  const platform = { ...fakePlatform(), clock, random: given.random ?? (() => 0.5) };
  const ladder = new Ladder(
    (given.names ?? ALL).map((name) => transport(name)),
    {
      ...{ platform, unixMs: () => clock.unixMs() },
      ...(given.memory === undefined ? {} : { memory: given.memory }),
    },
  );
  /** Attempts fail until the ladder says `name`, which works. */
  const fallTo = (name: TransportName) => {
    for (let count = 0; ladder.next().name !== name; count += 1) {
      if (count === 50) throw new Error(`${name} was never tried`);
      ladder.failed(ladder.next().name, ended('refused'));
    }
    ladder.worked(name);
  };
  return { ladder, clock, fallTo, next: () => ladder.next().name };
}
