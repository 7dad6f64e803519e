/** PresenceBatch: what the watchers of a channel are told at once, written once per encoding. */
import { SharedBatch } from '../../link/shared-batch.ts';
import type { Log } from '../../observe/log.ts';
import type { PresenceEncoding, PresenceEvent } from './presence-types.ts';

/** Events of one channel, in order, on their way to many links. */
export class PresenceBatch {
  readonly channel: string;
  readonly events: readonly PresenceEvent[];
  readonly #log: Log;
  /** `undefined` for an encoding that failed. */
  readonly #shared = new Map<PresenceEncoding, SharedBatch | undefined>();

  constructor(channel: string, events: readonly PresenceEvent[], log: Log) {
    this.channel = channel;
    this.events = events;
    this.#log = log;
  }

  /** The batch in one encoding, made at the first call; `undefined` when that fails. */
  encoded(encoding: PresenceEncoding): SharedBatch | undefined {
    const known = this.#shared.get(encoding);
    if (known !== undefined || this.#shared.has(encoding)) return known;
    const shared = this.#encode(encoding);
    this.#shared.set(encoding, shared);
    return shared;
  }

  #encode(encoding: PresenceEncoding): SharedBatch | undefined {
    const { channel, events } = this;
    try {
      return new SharedBatch(encoding.encode(channel, events), encoding.text);
    } catch (error) {
      this.#log.error({ channel, encoding: encoding.name, error }, 'presence could not be encoded');
      return undefined;
    }
  }
}
