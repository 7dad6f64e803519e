/**
 * Attendance: keeps the members of a channel as the server tells of them while anybody reads the
 * channel or listens to them. It reads for itself: who is there does not wait for a listener that is slow with messages,
 * and however many listen, each change is taken once.
 */
import type { MemberPage } from '@trunkline/wire';
import type { Channel } from '../channel.ts';
import { toPresence } from '../events.ts';
import type { Attending, Features } from '../features.ts';
import type { Line } from '../line.ts';
import { Members } from './members.ts';
import { Subscription } from './subscription.ts';
import type { ReadingOptions } from './subscription.ts';

export class Attendance implements Attending {
  readonly members: Members;
  readonly #line: Line;
  readonly #name: string;
  readonly #options: ReadingOptions;
  readonly #readers = new Set<{ readonly isTold: boolean }>();
  #stop: (() => void) | undefined;

  constructor({ name, parts: { line, platform, options } }: Pick<Channel, 'name' | 'parts'>) {
    this.#line = line;
    this.#name = name;
    this.#options = options;
    this.members = new Members(
      (after) => this.#fetchPage(after),
      platform,
      () => this.#follow({ isTold: false }),
    );
  }

  /** Somebody reads, until the returned function is called. Idempotent. */
  follow(): () => void {
    return this.#follow({ isTold: true });
  }

  /** @param reader is told by somebody else when the server will not have it read, or not. */
  #follow(reader: { readonly isTold: boolean }): () => void {
    this.#readers.add(reader);
    this.#stop ??= this.#start();
    return () => {
      if (!this.#readers.delete(reader) || this.#readers.size > 0) return;
      this.#stop?.();
      this.members.pause();
    };
  }

  #start(): () => void {
    const members = this.members;
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
      onEnd: (error) => {
        if (![...this.#readers].some(({ isTold }) => isTold)) this.#line.report(error);
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

  async #fetchPage(after?: string): Promise<MemberPage> {
    const ask = { kind: 'presence', channel: this.#name, query: { after, limit: 1000 } } as const;
    const { fields } = await this.#line.request(ask);
    const page = toPresence('presence', { ...fields, channel: this.#name });
    if (page?.kind !== 'presence')
      throw new TypeError(`expected a page of members, got ${JSON.stringify(fields)}`);
    return page;
  }
}

/** The feature: `channel.members`. */
export const members: NonNullable<Features['members']> = (channel) => new Attendance(channel);
