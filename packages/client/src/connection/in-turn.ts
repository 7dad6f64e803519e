/**
 * In turn: tries one transport after the other, the preferred one first. One that fails twice in a
 * row gives way to the next, and after the last comes the first again. Nothing is learnt of a network
 * and nothing is tried beside what works: see `ladder.ts`.
 */
import { reasonOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import type { Choice } from '../features.ts';
import type { Platform } from '../platform.ts';
import type { Transport, TransportName } from '../transports/transport.ts';
import { noTransport } from './explanation.ts';
import type { Explanation, TriedTransport } from './explanation.ts';

/** Failures in a row before the next transport is tried. */
const FAILURES_MAX = 2;
/** What was ready for less long has failed. */
const STABLE_MS = 5000;

export class InTurn implements Choice {
  readonly #tried = new Map<TransportName, TriedTransport>();
  /** Those that can work in this runtime; first the one whose turn it is. */
  readonly #usable: Transport[];
  #failures = 0;

  constructor(transports: readonly Transport[], platform: Platform) {
    this.#usable = transports.filter((transport) => {
      const reason = transport.fault(platform);
      const verdict = reason === undefined ? 'not tried' : 'unavailable';
      this.#note({ name: transport.name, verdict, reason: reason ?? 'its turn has not come' });
      return reason === undefined;
    });
  }

  next(): Transport {
    const [first] = this.#usable;
    if (first === undefined) throw noTransport([...this.#tried.values()]);
    return first;
  }

  worked(name: TransportName): void {
    this.#note({ name, verdict: 'in use', reason: 'it works' });
  }

  failed(name: TransportName, ending: Ending): void {
    this.#failed(name, reasonOf(ending));
  }

  lost(name: TransportName, livedMs: number, reason: string): void {
    if (livedMs >= STABLE_MS) this.#failures = -1;
    this.#failed(name, reason);
  }

  left(): void {
    const { name } = this.next();
    this.#note({ name, verdict: 'not tried', reason: 'it was left' });
  }

  networkChanged(): void {
    this.#failures = 0;
  }

  explain(): Explanation {
    const tried = [...this.#tried.values()];
    const present = tried.find(({ verdict }) => verdict === 'in use');
    return { ...(present && { transport: present.name }), tried };
  }

  #failed(name: TransportName, reason: string): void {
    this.#note({ name, verdict: 'failed', reason });
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX) return;
    this.#failures = 0;
    this.#usable.push(...this.#usable.splice(0, 1));
  }

  #note(tried: TriedTransport): void {
    this.#tried.set(tried.name, tried);
  }
}
