/**
 * Ending log: what the log says of connections that the server ended. A hundred thousand devices may
 * lose their network, or their passwords, at once: what is part of their life is told at debug alone,
 * and of what an operator wants to see no more than somebody can read.
 */
import type { Clock } from '../../../clock.ts';
import type { Log, LogFields } from '../../../observe/log.ts';
import { REASONS } from '../codec/reasons.ts';

/** Lines within a window; what is over it is told at debug, and counted. */
export const ENDING_LINES_MAX = 100;

/** How long such a window is. */
export const ENDING_WINDOW_MS = 10_000;

/** What a client says of itself may be as long as a packet. */
const NAME_LENGTH_MAX = 64;

/** A device went silent, or the server goes away. */
const USUAL: ReadonlySet<number> = new Set([
  ...[REASONS.keepAliveTimeout, REASONS.serverShuttingDown, REASONS.useAnotherServer],
]);

/** A connection that the server ends. */
export interface Ending {
  /** False where CONNECT was not accepted. */
  readonly wasAccepted: boolean;
  readonly reason: number;
  readonly message: string;
  readonly remoteAddress: string;
  /** Whom CONNECT named, right or wrong; absent where none had come. */
  readonly clientId: string | undefined;
  readonly user: string | undefined;
}

/** One node's, for all its connections. */
export class EndingLog {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #log: Log;
  #windowEndMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor({ clock, log }: { readonly clock: Pick<Clock, 'monotonicMs'>; readonly log: Log }) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Tells of one, unless there were too many of late. */
  tell(ending: Ending): void {
    const { wasAccepted, reason, message, remoteAddress, clientId, user } = ending;
    const fields: LogFields = {
      ...{ reason, message, remoteAddress },
      ...(clientId === undefined ? {} : { clientId: shortened(clientId) }),
      ...(user === undefined ? {} : { user: shortened(user) }),
    };
    const words = wasAccepted
      ? 'an MQTT connection was ended by the server'
      : 'an MQTT client was not accepted';
    if (!USUAL.has(reason) && this.#hasRoom()) this.#log.info(fields, words);
    else this.#log.debug(fields, words);
  }

  #hasRoom(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#windowEndMs) {
      const count = this.#count - ENDING_LINES_MAX;
      if (count > 0) {
        const words = 'more MQTT connections were ended than are told; logLevel debug tells each';
        this.#log.info({ count }, words);
      }
      this.#windowEndMs = nowMs + ENDING_WINDOW_MS;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= ENDING_LINES_MAX;
  }
}

function shortened(name: string): string {
  return name.length > NAME_LENGTH_MAX ? `${name.slice(0, NAME_LENGTH_MAX)}…` : name;
}
