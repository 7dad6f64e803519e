/**
 * @trunkline/client/store: channels, who is in them, and the connection, as state that frameworks can
 * follow: `subscribe` tells that something has changed, `get` gives what there is now.
 */
import type { Member } from '@trunkline/wire';
import type { Channel, Message } from './channel.ts';
import type { ConnectionState } from './connection/connection-state.ts';
import type { GapEvent } from './events.ts';
import type { Line } from './line.ts';
import { sharedStore } from './shared-store.ts';
import type { Source, Store } from './shared-store.ts';

export type { Store } from './shared-store.ts';

/** Messages that a store holds when nothing else is said. */
const COUNT_DEFAULT = 100;

/** The newest messages of a channel. */
export interface ChannelSnapshot<T = unknown> {
  /** In the order in which they came. */
  readonly messages: readonly Message<T>[];
  /** `subscribing` also while the connection is lost. */
  readonly status: 'subscribing' | 'live' | 'ended';
  /** The newest loss: messages up to its `position` that are not here were not delivered. */
  readonly gap?: GapEvent;
  /** Why it has ended. */
  readonly error?: unknown;
}

/** Who is in a channel. */
export interface PresenceSnapshot {
  /** Each user once, in no particular order. */
  readonly members: readonly Member[];
  /** Users, also those who are not listed. */
  readonly count: number;
  /** False while they are being read, and where they are too many to list. */
  readonly isComplete: boolean;
  /** False while nothing is told: it is as it was when the connection was lost. */
  readonly isLive: boolean;
  /** Why it has ended. */
  readonly error?: unknown;
}

/** The connection of a line. */
export interface ConnectionSnapshot {
  readonly state: ConnectionState;
  readonly transport?: Line['transport'];
  /** What ended the connection, or why it is not there yet. */
  readonly reason?: string;
}

/** What nobody has read yet: the state on a server that renders pages. */
export const NO_MESSAGES: ChannelSnapshot<never> = { messages: [], status: 'subscribing' };
export const NO_MEMBERS: PresenceSnapshot = {
  ...{ members: [], count: 0, isComplete: false, isLive: false },
};
export const NO_CONNECTION: ConnectionSnapshot = { state: 'connecting' };

/**
 * The newest messages of a channel. Two channels of the same name and options share them, if the
 * functions and the schema among the options are the same.
 *
 * @param options `count`: messages that are held at most.
 */
export function channelStore<T>(
  channel: Channel<T, never>,
  options: { readonly count?: number } = {},
): Store<ChannelSnapshot<T>> {
  const { line, platform, options: read } = channel.parts;
  const { count = COUNT_DEFAULT } = options;
  const key = JSON.stringify(['channel', channel.name, count, ...optionKeys(read)]);
  return sharedStore(line, key, platform.clock, () => new Messages(channel, count));
}

/** Who is in a channel; the channel is read for it, whether its own options say so or not. */
export function presenceStore<T>(channel: Channel<T, never>): Store<PresenceSnapshot> {
  const { line, platform } = channel.parts;
  const key = JSON.stringify(['presence', channel.name]);
  return sharedStore(line, key, platform.clock, () => new Presence(line, channel.name));
}

/** How the connection of a line stands. */
export function connectionStore(line: Line): Store<ConnectionSnapshot> {
  return sharedStore(line, 'connection', undefined, () => new Connectedness(line));
}

/** A store for Svelte, and for others who want to be told the state and at once. */
export function toReadable<Snapshot>(store: Store<Snapshot>): {
  subscribe(run: (snapshot: Snapshot) => void): () => void;
} {
  return {
    subscribe(run) {
      const end = store.subscribe(() => run(store.get()));
      run(store.get());
      return end;
    },
  };
}

class Messages<T> implements Source<ChannelSnapshot<T>> {
  readonly #channel: Channel<T, never>;
  readonly #countMax: number;
  #messages: readonly Message<T>[] = [];
  /** What has come since somebody looked. */
  #news: Message<T>[] = [];
  #gap: GapEvent | undefined;
  #isOpen = false;
  #end: { readonly error: unknown } | undefined;

  constructor(channel: Channel<T, never>, countMax: number) {
    this.#channel = channel;
    this.#countMax = countMax;
  }

  get hasBegun(): boolean {
    return this.#isOpen || this.#end !== undefined;
  }

  open(changed: () => void): () => void {
    const unlisten = this.#channel.parts.line.on('state', changed);
    const unsubscribe = this.#channel.subscribe({
      onMessage: (message) => {
        this.#news.push(message);
        if (this.#news.length >= this.#countMax) this.#take();
        changed();
      },
      onOpen: () => {
        this.#isOpen = true;
        changed();
      },
      onGap: (gap) => {
        this.#gap = gap;
        changed();
      },
      onEnd: (error) => {
        this.#end = { error };
        changed();
      },
    });
    return () => {
      unlisten();
      unsubscribe();
      this.#messages = [];
      this.#news = [];
      this.#gap = undefined;
      this.#isOpen = false;
      this.#end = undefined;
    };
  }

  read(): ChannelSnapshot<T> {
    this.#take();
    const { line } = this.#channel.parts;
    const isLive = this.#isOpen && line.state === 'connected';
    return {
      messages: this.#messages,
      status: this.#end === undefined ? (isLive ? 'live' : 'subscribing') : 'ended',
      ...(this.#gap && { gap: this.#gap }),
      ...this.#end,
    };
  }

  #take(): void {
    if (this.#news.length === 0) return;
    this.#messages = [...this.#messages, ...this.#news].slice(-this.#countMax);
    this.#news = [];
  }
}

class Presence implements Source<PresenceSnapshot> {
  readonly #channel: Channel;
  #end: { readonly error: unknown } | undefined;

  constructor(line: Line, name: string) {
    this.#channel = line.channel(name, { presence: true });
  }

  get hasBegun(): boolean {
    return this.#channel.members.isLive || this.#end !== undefined;
  }

  open(changed: () => void): () => void {
    const { members } = this.#channel;
    const ends = [
      members.subscribe(changed),
      this.#channel.subscribe({
        onMessage: () => {},
        // Whoever reads the messages is told.
        onGap: () => {},
        onEnd: (error) => {
          this.#end = { error };
          changed();
        },
      }),
    ];
    return () => {
      for (const end of ends) end();
      this.#end = undefined;
      members.clear();
    };
  }

  read(): PresenceSnapshot {
    const { all, count, isComplete, isLive } = this.#channel.members;
    return { members: all, count, isComplete, isLive, ...this.#end };
  }
}

class Connectedness implements Source<ConnectionSnapshot> {
  readonly #line: Line;
  #reason: string | undefined;

  constructor(line: Line) {
    this.#line = line;
  }

  get hasBegun(): boolean {
    return this.#line.state !== 'connecting';
  }

  open(changed: () => void): () => void {
    return this.#line.on('state', ({ reason }) => {
      this.#reason = reason;
      changed();
    });
  }

  read(): ConnectionSnapshot {
    const { state, transport } = this.#line;
    return {
      state,
      ...(transport && { transport }),
      ...(state !== 'connected' && this.#reason !== undefined && { reason: this.#reason }),
    };
  }
}

/** Functions and other objects are told apart by numbers. */
const identities = new WeakMap<object, number>();
let identityCount = 0;

/** Options as plain values that are the same for equal options. */
function optionKeys(options: object): unknown[] {
  return [...new Map<string, unknown>(Object.entries(options))]
    .filter(([, value]) => value !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => [name, value instanceof Object ? identityOf(value) : value]);
}

function identityOf(value: object): string {
  const known = identities.get(value) ?? (identityCount += 1);
  identities.set(value, known);
  return `#${known}`;
}
