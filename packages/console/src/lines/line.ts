/**
 * Line: one reader of one channel over one transport, kept up until it is cut.
 *
 * A transport module knows only how to dial. Everything that all of them share stands here once:
 * the position, the states, and when to dial again. A position moves only with what was handed on,
 * so going on from it can neither skip a message nor bring one twice.
 */
import { formatPosition } from '@trunkline/wire';
import type { Gap, PayloadKind, Position } from '@trunkline/wire';
import { BACKOFF_CAP_MS, backoffMs } from './backoff.ts';
import { browserPace } from './pace.ts';
import type { Pace } from './pace.ts';

/** `connecting` is the first try, `reconnecting` every one after a loss until it is live again. */
export type LineState = 'connecting' | 'live' | 'reconnecting' | 'cut' | 'gave-up';

/** Event names that a line expects; messages with names beyond it are no longer looked for. */
export const EVENTS_MAX = 256;

/** A state and what led to it. */
export interface LineStatus {
  readonly state: LineState;
  /** Why it is not live, in words for people. */
  readonly reason?: string;
  /** Tries that failed since a connection last held. */
  readonly tries: number;
}

/** A message as every transport can tell it. */
export interface LineMessage {
  readonly position: Position;
  readonly event?: string;
  readonly kind: PayloadKind;
  /** JSON or text as it came; base64 for bytes. */
  readonly payload: string;
  /** Milliseconds since 1970; SSE does not tell it. */
  readonly time?: number;
}

/** What the server said about a place to go on from. */
export type Verdict =
  /** No place was asked for: what comes from now on. */
  | { readonly kind: 'started'; readonly at: Position }
  /** Nothing was missed; what came meanwhile follows. */
  | { readonly kind: 'recovered'; readonly from: Position }
  /** The stream can't prove that nothing was missed. The line goes on at `at`. */
  | { readonly kind: 'gap'; readonly gap: Gap; readonly at: Position | undefined };

/** What a line is opened with. */
export interface LineOptions {
  /** The server's origin, e.g. `http://127.0.0.1:8080`. */
  readonly server: string;
  readonly channel: string;
  /** A position or `start`; absent, only what comes from now on. */
  readonly after?: string;
  /** Asked for at every dial, so that a new one is used from then on. */
  token?(): string | undefined;
  /** Names of message events to expect; an `EventSource` hears only names it listens for. */
  readonly events?: readonly string[];
  readonly pace?: Pace;
  onMessage(message: LineMessage): void;
  /** Before the messages that follow from it. */
  onVerdict(verdict: Verdict): void;
  onState(status: LineStatus): void;
}

/** A reader's line. Every transport gives the same. */
export interface Line {
  /** Where it stands: everything up to here was handed to `onMessage`. */
  readonly position: Position | undefined;
  readonly status: LineStatus;
  /** Drops the connection and keeps the position. */
  cut(): void;
  /** Goes on from the position; does nothing unless it was cut or gave up. */
  resume(): void;
  /** Dials anew from its position, e.g. with another token; does nothing while it is cut. */
  renew(): void;
  /** Tells of event names that messages of this channel carry. */
  expect(events: readonly string[]): void;
}

/** One try to be connected, as a transport sees it. After `lost` or `refused` it hears no more. */
export interface Attempt {
  readonly server: string;
  readonly channel: string;
  readonly after: string | undefined;
  readonly token: string | undefined;
  /** Grows while the attempt lasts; see {@link Line.expect}. */
  readonly events: ReadonlySet<string>;
  readonly pace: Pace;
  /** Where the line stands now. */
  position(): Position | undefined;
  expect(events: readonly string[]): void;
  /** The server took it: the line is live. */
  opened(verdict: Verdict): void;
  /** Loss that the server told of while live. */
  gap(gap: Gap, at: Position | undefined): void;
  message(message: LineMessage): void;
  /** The connection is gone; another try may work. */
  lost(reason: string, retryAfterMs?: number): void;
  /** The same input would be refused again. */
  refused(reason: string): void;
}

/** Ends an attempt's connection without another word to the attempt. */
export type HangUp = () => void;

/** Tries to connect. Must not call the attempt before it has returned. */
export type Dial = (attempt: Attempt) => HangUp;

/** What sets a transport apart from the others. */
export interface DialTraits {
  /** It hears only messages whose event name it was told of before it dialled. */
  readonly byName?: boolean;
}

/** Opens a line that dials at once and again after every loss. */
export function createLine(dial: Dial, options: LineOptions, traits: DialTraits = {}): Line {
  return new DialledLine(dial, options, traits);
}

class DialledLine implements Line {
  readonly #dial: Dial;
  readonly #options: LineOptions;
  readonly #byName: boolean;
  readonly #pace: Pace;
  readonly #events: Set<string>;
  #position: Position | undefined;
  #status: LineStatus = { state: 'connecting', tries: 0 };
  #liveSince: number | undefined;
  /** It dialled again of its own accord: a recovery then is no news. */
  #quiet = false;
  #end: () => void = nothing;

  constructor(dial: Dial, options: LineOptions, traits: DialTraits) {
    this.#dial = dial;
    this.#options = options;
    this.#byName = traits.byName ?? false;
    this.#pace = options.pace ?? browserPace;
    this.#events = new Set(options.events);
    this.#try();
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get status(): LineStatus {
    return this.#status;
  }

  cut(): void {
    this.#end();
    this.#quiet = false;
    this.#liveSince = undefined;
    this.#become({ state: 'cut', tries: 0 });
  }

  resume(): void {
    if (this.#status.state !== 'cut' && this.#status.state !== 'gave-up') return;
    this.#become({ state: 'connecting', tries: 0 });
    this.#try();
  }

  expect(events: readonly string[]): void {
    const known = this.#events.size;
    for (const event of events) {
      if (this.#events.size < EVENTS_MAX) this.#events.add(event);
    }
    if (this.#events.size === known) return;
    // A name is learnt from a message that this line's connection may just have passed over, so it
    // dials anew from its position: only then is it sure to hear that message too.
    if (!this.#byName || this.#status.state !== 'live') return;
    this.#end();
    this.#quiet = true;
    this.#try();
  }

  renew(): void {
    if (this.#status.state === 'cut') return;
    this.#end();
    this.#become({ state: 'connecting', tries: 0 });
    this.#try();
  }

  #try(): void {
    const { server, channel, after } = this.#options;
    let over = false;
    const heard = <Args extends readonly unknown[]>(task: (...args: Args) => void) => {
      return (...args: Args): void => {
        if (!over) task(...args);
      };
    };
    const attempt: Attempt = {
      server,
      channel,
      after: this.#position === undefined ? after : formatPosition(this.#position),
      token: this.#options.token?.(),
      events: this.#events,
      pace: this.#pace,
      position: () => this.#position,
      expect: heard((events: readonly string[]) => this.expect(events)),
      opened: heard((verdict: Verdict) => this.#opened(verdict)),
      gap: heard((gap: Gap, at: Position | undefined) => this.#tell({ kind: 'gap', gap, at })),
      message: heard((message: LineMessage) => this.#message(message)),
      lost: heard((reason: string, retryAfterMs?: number) => this.#lost(reason, retryAfterMs)),
      refused: heard((reason: string) => this.#refused(reason)),
    };
    const hangUp = this.#dial(attempt);
    this.#end = () => {
      over = true;
      this.#end = nothing;
      hangUp();
    };
  }

  #opened(verdict: Verdict): void {
    const quiet = this.#quiet && verdict.kind === 'recovered';
    this.#quiet = false;
    this.#liveSince ??= this.#pace.now();
    if (quiet) return;
    this.#tell(verdict);
    this.#become({ state: 'live', tries: this.#status.tries });
  }

  #tell(verdict: Verdict): void {
    const at = verdict.kind === 'recovered' ? verdict.from : verdict.at;
    if (at !== undefined) this.#position = at;
    this.#options.onVerdict(verdict);
  }

  #message(message: LineMessage): void {
    const { position } = message;
    const last = this.#position;
    // A repeated message must not take the position back.
    if (last === undefined || last.epoch !== position.epoch || position.offset > last.offset) {
      this.#position = position;
    }
    this.#options.onMessage(message);
  }

  #lost(reason: string, retryAfterMs?: number): void {
    this.#end();
    this.#quiet = false;
    // Only a connection that held is a success: one that is dropped as soon as it opens must not
    // bring the waits back to the shortest.
    const held =
      this.#liveSince !== undefined && this.#pace.now() - this.#liveSince >= BACKOFF_CAP_MS;
    this.#liveSince = undefined;
    const tries = held ? 0 : this.#status.tries;
    const cancel = this.#pace.after(backoffMs(tries, this.#pace.random(), retryAfterMs), () => {
      this.#try();
    });
    this.#end = () => {
      this.#end = nothing;
      cancel();
    };
    this.#become({ state: 'reconnecting', reason, tries: tries + 1 });
  }

  #refused(reason: string): void {
    this.#end();
    this.#liveSince = undefined;
    this.#become({ state: 'gave-up', reason, tries: 0 });
  }

  #become(status: LineStatus): void {
    this.#status = status;
    this.#options.onState(status);
  }
}

function nothing(): void {}
