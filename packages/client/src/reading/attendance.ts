/**
 * Attendance: keeps the members of a channel as the server tells of them while anybody reads the
 * channel. It reads for itself: who is there does not wait for a listener that is slow with messages,
 * and however many listen, each change is taken once.
 */
import type { Line } from '../line.ts';
import type { Members } from './members.ts';
import { Subscription } from './subscription.ts';
import type { ReadingOptions } from './subscription.ts';

export class Attendance {
  readonly #line: Pick<Line, 'subscriptions' | 'on'>;
  readonly #name: string;
  readonly #options: ReadingOptions;
  readonly #members: Members;
  readonly #readers = new Set<object>();
  #stop: (() => void) | undefined;

  /** @param options how the channel is read for its messages. */
  constructor(
    line: Pick<Line, 'subscriptions' | 'on'>,
    name: string,
    options: ReadingOptions,
    members: Members,
  ) {
    this.#line = line;
    this.#name = name;
    this.#options = options;
    this.#members = members;
  }

  /** Somebody reads, until the returned function is called. Idempotent. */
  follow(): () => void {
    const reader = {};
    this.#readers.add(reader);
    this.#stop ??= this.#start();
    return () => {
      if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
      this.#stop?.();
      this.#members.pause();
    };
  }

  #start(): () => void {
    const members = this.#members;
    const { subscriptions } = this.#line;
    const { echo } = this.#options;
    const options = { presence: true, ...(echo !== undefined && { echo }) };
    const subscription = new Subscription(this.#name, options, {
      onEvent: (event) => {
        if (event.kind === 'open') members.open();
        else if (event.kind === 'presence' || event.kind === 'join' || event.kind === 'leave') {
          members.apply(event);
        }
      },
      onEnd: () => {
        this.#readers.clear();
        this.#stop?.();
        members.clear();
      },
    });
    subscriptions.add(subscription);
    const unlisten = this.#line.on('state', ({ state }) => {
      if (state !== 'connected') members.pause();
    });
    return () => {
      this.#stop = undefined;
      unlisten();
      subscriptions.remove(subscription);
    };
  }
}
