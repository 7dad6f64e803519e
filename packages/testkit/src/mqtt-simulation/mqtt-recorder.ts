/** MqttRecorder: writes down what MQTT clients do and are told, in the form the checker judges. */
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { MqttEvent } from './mqtt-history.ts';

type Unstamped<T> = T extends MqttEvent ? Omit<T, 'step' | 'atMs'> : never;

/** The history of a run while it is being made. */
export class MqttRecorder {
  readonly events: MqttEvent[] = [];
  readonly failures: unknown[] = [];
  /** The step that is being made. */
  step = 0;
  readonly #clock: Clock;
  #named = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Writes an event down as happening now. */
  record(event: Unstamped<MqttEvent>): void {
    const moment = { step: this.step, atMs: this.#clock.monotonicMs() };
    this.events.push({ ...event, ...moment });
  }

  /** Something broke that nobody should ever see: the run fails with it. */
  fail(error: unknown): void {
    this.failures.push(error);
  }

  /** A name that was not given before. */
  name(prefix: string): string {
    this.#named += 1;
    return `${prefix}${this.#named}`;
  }
}
