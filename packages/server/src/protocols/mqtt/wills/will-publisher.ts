/**
 * WillPublisher: publishes wills whose time has come, and removes those that nobody wants any more.
 *
 * A will is published with a key of its own and removed when the log has it. Whatever fails in
 * between, it is tried again, and the log has it once.
 */
import { CODES } from '@trunkline/wire';
import { refusal } from '../../../hub/refusals.ts';
import type { MqttParts } from '../parts.ts';
import { decodeWill } from './will-record.ts';

/** What it is built from. */
export type WillPublisherParts = Pick<MqttParts, 'hub' | 'state' | 'clock' | 'log'>;

/** What is to be done with a record. */
type Errand = 'publish' | 'remove';

/** Done at once; many clients may go in one moment. */
const UNDER_WAY_MAX = 16;

/** How long after a failure that may pass all go on. */
const RETRY_MS = 1000;

/** Does what is to be done, in its order. */
export class WillPublisher {
  readonly #parts: WillPublisherParts;
  /** By the key of the record. */
  readonly #errands = new Map<string, Errand>();
  #underWayCount = 0;
  #isPaused = false;
  #isStopped = false;

  constructor(parts: WillPublisherParts) {
    this.#parts = parts;
  }

  /** The time of this record's will has come. Nothing happens where it is gone. */
  publish(recordKey: string): void {
    this.#errands.set(recordKey, 'publish');
    this.#proceed();
  }

  /** This record's will is not wanted. It does not wait for others: a crash would publish it. */
  remove(recordKey: string): void {
    this.#errands.delete(recordKey);
    this.#begin(recordKey, 'remove');
  }

  /** Publishes no more: what is left is found at the next start. */
  stop(): void {
    this.#isStopped = true;
    for (const [recordKey, errand] of this.#errands) {
      if (errand === 'remove') this.#begin(recordKey, errand);
    }
    this.#errands.clear();
  }

  #proceed(): void {
    for (const [recordKey, errand] of this.#errands) {
      if (this.#isPaused || this.#isStopped || this.#underWayCount >= UNDER_WAY_MAX) return;
      this.#errands.delete(recordKey);
      this.#begin(recordKey, errand);
    }
  }

  #begin(recordKey: string, errand: Errand): void {
    this.#underWayCount += 1;
    // Never rejects.
    void this.#do(recordKey, errand);
  }

  async #do(recordKey: string, errand: Errand): Promise<void> {
    try {
      if (errand === 'publish') await this.#publish(recordKey);
      await this.#parts.state.delete(recordKey);
    } catch (error) {
      this.#parts.log.warn({ error }, `an MQTT will could not be ${errand}ed now`);
      this.#retry(recordKey, errand);
    }
    this.#underWayCount -= 1;
    this.#proceed();
  }

  /** @throws {Error} for what may pass. */
  async #publish(recordKey: string): Promise<void> {
    const { state, hub, log } = this.#parts;
    const found = await state.get(recordKey);
    const will = found === undefined ? undefined : decodeWill(found.value);
    if (will === undefined) return;
    const { identity, channel, request } = will;
    const session = request.from?.session ?? '';
    const key = recordKey.slice(recordKey.lastIndexOf('/') + 1);
    try {
      await hub.publish({ identity, session }, channel, { ...request, key });
    } catch (error) {
      const { code, message } = refusal(error);
      if (CODES[code].temporary) throw error;
      // Allowed when the client connected, and not any more.
      log.info({ channel, message }, 'an MQTT will was refused');
    }
  }

  #retry(recordKey: string, errand: Errand): void {
    if (this.#isStopped) return;
    this.#errands.set(recordKey, errand);
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#parts.clock.after(RETRY_MS, () => {
      this.#isPaused = false;
      this.#proceed();
    });
  }
}
