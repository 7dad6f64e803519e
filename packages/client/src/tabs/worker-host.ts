/**
 * Worker host: the host in a shared worker. The first tab says which server and which tabs are
 * served; who is of another group is refused.
 */
import { CodedError } from '@trunkline/wire';
import type { Encoding } from '../encodings/encoding.ts';
import type { Platform, Timer } from '../platform.ts';
import type { Locks } from './election.ts';
import { TabHost } from './host.ts';
import { parseTabWords, toEndingWord, wayOf } from './port.ts';
import type { Port, TabWord } from './port.ts';
import { onFirstValue } from './ports.ts';
import { TokenDesk } from './token-desk.ts';
import type { OpenUpstream } from './upstream.ts';

/** A connection that no tab has used for so long is closed. */
export const IDLE_MS_MAX = 30_000;

/** What the worker has. */
export interface WorkerHostOptions {
  /** What the worker is named: the group that it serves. */
  readonly group: string;
  readonly platform: Platform;
  readonly locks: Locks | undefined;
  /** Those that are compiled into the worker. */
  readonly encodings: readonly Encoding[];
  readonly newId: () => string;
  readonly openUpstream: OpenUpstream;
}

/** Makes a host when the first tab comes, and again when one comes after it was closed. */
export class WorkerHost {
  readonly #options: WorkerHostOptions;
  #host: TabHost | undefined;
  #idle: Timer | undefined;

  constructor(options: WorkerHostOptions) {
    this.#options = options;
  }

  /** Serves a tab, once it has said who it is. */
  accept(port: Port): void {
    onFirstValue(port, (value, rest) => {
      const host = this.#hostFor(value);
      if (typeof host !== 'string') {
        host.accept(rest);
        return;
      }
      const error = new CodedError('bad_request', host);
      port.post([{ kind: 'end', ending: toEndingWord({ kind: 'refused', error }) }]);
      port.close();
    });
  }

  /** The host for a tab by its first words, or why there is none. */
  #hostFor(value: unknown): TabHost | string {
    const hello = parseTabWords(value)?.[0];
    const { group, encodings } = this.#options;
    if (hello?.kind !== 'hello' || hello.group !== group) {
      return 'the worker must have the name that `worker` is called with, and the build of its tabs';
    }
    const encoding = encodings.find((one) => wayOf(one) === hello.encoding);
    if (encoding === undefined) return `the worker has no encoding for ${hello.encoding}`;
    this.#host ??= this.#createHost(hello, encoding);
    return this.#host;
  }

  #createHost({ url, token }: Extract<TabWord, { kind: 'hello' }>, encoding: Encoding): TabHost {
    const { platform, group, locks, newId, openUpstream } = this.#options;
    const tokens = new TokenDesk();
    // The connection may ask for it before the tab is accepted.
    if (token !== undefined) tokens.offer(token);
    const upstream = openUpstream({
      ...{ target: { url, encoding }, platform },
      ...(token === undefined ? {} : { token: () => tokens.take() }),
    });
    return new TabHost(upstream, {
      ...{ group, tokens, clock: platform.clock, id: newId() },
      ...(locks === undefined ? {} : { locks }),
      onClose: () => (this.#host = undefined),
      onGuests: (count) => this.#onGuests(count),
    });
  }

  #onGuests(count: number): void {
    this.#idle?.cancel();
    if (count === 0) {
      this.#idle = this.#options.platform.clock.after(IDLE_MS_MAX, () => this.#host?.close());
    }
  }
}
