/**
 * Skips: offsets that a session was not given and not told of. That is right for what it published
 * itself and did not want back, and for what ran out of time; which of the offsets those are is
 * known when the run is over.
 */
import type { BrokenPromise, PublishEvent } from '../history.ts';
import type { StreamTable } from './stream-table.ts';

/** Offsets that were left out. */
export interface Skip {
  readonly channel: string;
  readonly epoch: string;
  readonly from: number;
  /** `Infinity` for all there is. */
  readonly to: number;
  /** Sessions whose own messages may be left out. */
  readonly mutes: readonly string[];
  /** Unix milliseconds at which they were passed over. */
  readonly sentMs: number;
  /** True when they were told to have run out of time, which then is the only excuse. */
  readonly asExpired: boolean;
  readonly fail: (promise: BrokenPromise, text: string) => void;
}

/** What is known of publishes when the run is over. */
export interface PublishLookup {
  triesOf(payload: string): readonly PublishEvent[];
}

/** Collects skips and judges them at the end. */
export class Skips {
  readonly #skips: Skip[] = [];

  add(skip: Skip): void {
    this.#skips.push(skip);
  }

  /** @param jumped true when Unix time has jumped, so that it says little. */
  onEnd(table: StreamTable, publishes: PublishLookup, jumped: boolean): void {
    for (const skip of this.#skips) this.#judge(skip, table, publishes, jumped);
  }

  #judge(skip: Skip, table: StreamTable, publishes: PublishLookup, jumped: boolean): void {
    const { channel, epoch, from, mutes, sentMs, asExpired, fail } = skip;
    const to = Math.min(skip.to, table.topOf(channel, epoch));
    for (let offset = from; offset <= to; offset += 1) {
      const payload = table.payloadAt({ channel, position: { epoch, offset } });
      // Nobody was ever told of it, so nothing was promised.
      if (payload === undefined) continue;
      const tries = publishes.triesOf(payload);
      const [first] = tries;
      if (!asExpired && tries.some(({ connection }) => mutes.includes(connection))) continue;
      const place = `${epoch}:${offset}, which is ${payload},`;
      if (first?.ttl === undefined) {
        if (asExpired) fail('expired', `${place} was said to be over and never is`);
        else fail(2, `${place} came neither as a message nor as a gap`);
        return;
      }
      const dueMs = (first.unixMs ?? 0) + first.ttl;
      if (jumped || sentMs >= dueMs) continue;
      fail('expired', `${place} was left out ${dueMs - sentMs} ms before it was over`);
      return;
    }
  }
}
