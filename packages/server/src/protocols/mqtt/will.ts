/**
 * Will: what a client asked to be published when it goes without a word ([MQTT-3.1.2-8]).
 */
import type { Will } from './codec/packets.ts';
import type { MqttParts } from './parts.ts';
import type { MqttSession } from './session.ts';

/** The wills of one node's clients, by the keys of their sessions. */
export class Wills {
  readonly #parts: Pick<MqttParts, 'hub' | 'state' | 'clock' | 'log'>;

  constructor(parts: Pick<MqttParts, 'hub' | 'state' | 'clock' | 'log'>) {
    this.#parts = parts;
  }

  /** A client connects: a will that waits for its delay is published, or dropped if it goes on. */
  async onConnect(_key: string, _isCleanStart: boolean): Promise<void> {}

  /** Keeps a will. Resolves when it is stored. */
  async keep(_key: string, _session: MqttSession, _will: Will): Promise<void> {}

  /** The client said goodbye. */
  async drop(_key: string): Promise<void> {}

  /** It did not: published after its delay, or when the session ends, whichever is first. */
  release(_key: string, _expirySeconds: number): void {}
}
