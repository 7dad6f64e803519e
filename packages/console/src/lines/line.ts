/**
 * Line: one reader over one transport, of one channel or of several and patterns, kept up until it
 * is cut.
 *
 * A transport module knows only how to dial. Everything that all of them share stands here once:
 * where the line stands, the states, and when to dial again. A place moves only with what was
 * handed on, so going on from it can neither skip a message nor bring one twice.
 */
import { isWildcard, parsePosition } from '@trunkline/wire';
import type { Gap, Member, PayloadKind, Position } from '@trunkline/wire';
import { BACKOFF_CAP_MS, backoffMs } from './backoff.ts';
import { browserPace } from './pace.ts';
import type { Pace } from './pace.ts';
import { Standing } from './standing.ts';

/** `connecting` is the first try, `reconnecting` every one after a loss until it is live again. */
export type LineState = 'connecting' | 'live' | 'reconnecting' | 'cut' | 'gave-up';

/** A state and what led to it. */
export interface LineStatus {
  readonly state: LineState;
  /** Why it is not live, in words for people. */
  readonly reason?: string;
  /** Tries that failed since a connection last held. */
  readonly tries: number;
}

/** How messages are written on the way. An event stream has an encoding of its own. */
export type EncodingName = 'json' | 'binary';

/** A message as every transport can tell it. */
export interface LineMessage {
  readonly channel: string;
  /** Absent in volatile channels. */
  readonly position?: Position;
  readonly event?: string;
  readonly kind: PayloadKind;
  /** JSON or text as it came; base64 for bytes. */
  readonly payload: string;
  /** Milliseconds since 1970; an event stream of one channel does not tell it. */
  readonly time?: number;
}

/** The state of a channel that a line began with instead of its messages. */
export interface LineSnapshot {
  readonly channel: string;
  readonly position: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly kind: PayloadKind;
  readonly payload: string;
}

/** What the server tells of who is in a channel. */
export type PresenceNews =
  | {
      readonly kind: 'page';
      readonly channel: string;
      readonly members: readonly Member[];
      readonly count: number;
      /** Where the next page begins. */
      readonly next?: string;
    }
  | { readonly kind: 'join' | 'leave'; readonly channel: string; readonly member: Member }
  /** The server tells this reader nothing of it. */
  | { readonly kind: 'refused'; readonly channel: string; readonly reason: string };

/** What carries a connection, as far as a page can see it. */
export interface Carrier {
  readonly encoding?: EncodingName;
  /** E.g. `permessage-deflate` or `gzip`; empty when nothing is compressed. */
  readonly compression?: string;
}

/** What became of the places that a line asked to go on from. */
export type Verdict =
  /** No place was asked for: what comes from now on. `at` is that of a channel read alone. */
  | { readonly kind: 'started'; readonly at: Position | undefined }
  /** Nothing was missed; what came meanwhile follows. `from` has the channels named. */
  | { readonly kind: 'recovered'; readonly from: ReadonlyMap<string, Position> }
  /** The stream can't prove that nothing was missed. */
  | { readonly kind: 'gap'; readonly gap: Gap };

/** What a line tells, in order. */
export type LineEvent =
  | { readonly kind: 'state'; readonly status: LineStatus }
  /** A connection has answered for everything that is followed. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** A channel or a pattern begins here, before its messages; with a gap, after a loss. */
  | {
      readonly kind: 'begun';
      readonly filter: string;
      readonly at: Position | undefined;
      readonly gap: Gap | undefined;
    }
  | { readonly kind: 'message'; readonly message: LineMessage }
  /** Loss that the server told of; the channel goes on after `at`. */
  | {
      readonly kind: 'gap';
      readonly channel: string;
      readonly gap: Gap;
      readonly at: Position | undefined;
    }
  /** Offsets that are not delivered because their time was over. */
  | {
      readonly kind: 'expired';
      readonly channel: string;
      readonly epoch: string;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: 'snapshot'; readonly snapshot: LineSnapshot }
  | { readonly kind: 'presence'; readonly news: PresenceNews }
  /** The word under which presence lists this connection. */
  | { readonly kind: 'session'; readonly session: string }
  | { readonly kind: 'carrier'; readonly carrier: Carrier }
  | { readonly kind: 'bytes'; readonly count: number };

/** What a line is opened with. */
export interface LineOptions {
  /** The server's origin, e.g. `http://127.0.0.1:8080`. */
  readonly server: string;
  /** Names and patterns; at least one. */
  readonly filters: readonly string[];
  /** Where another line stood that this one goes on from; absent, only what comes from now on. */
  readonly standing?: Standing;
  /** These three are asked at every dial, so that what changed holds from then on. */
  token?(): string | undefined;
  encoding?(): EncodingName;
  /** Whether to be listed where that must be asked for. */
  takesPart?(): boolean;
  readonly pace?: Pace;
  onEvent(event: LineEvent): void;
}

/** A reader's line. Every transport gives the same. */
export interface Line {
  /** Where it stands: everything up to here was handed on. */
  readonly standing: Standing;
  readonly status: LineStatus;
  /** Drops the connection and keeps the place. */
  cut(): void;
  /** Goes on from the place; does nothing unless it was cut or gave up. */
  resume(): void;
  /** Dials anew from its place, e.g. with another token; does nothing while it is cut. */
  renew(): void;
}

/** The server's answer for one channel or pattern. */
export interface Beginning {
  readonly filter: string;
  /** The position or mark before the messages that follow. */
  readonly place: string | undefined;
  readonly recovered: boolean | undefined;
  readonly gap: Gap | undefined;
  readonly isVolatile: boolean;
  /** True where the server keeps the place itself and tells none: then `recovered` alone says. */
  readonly isKept?: boolean;
}

/** What a transport hands on as it is. */
export type Passing = Extract<
  LineEvent,
  { kind: 'snapshot' | 'presence' | 'session' | 'carrier' | 'bytes' }
>;

/** One try to be connected, as a transport sees it. After `lost` or `refused` it hears no more. */
export interface Attempt {
  readonly server: string;
  readonly filters: readonly string[];
  readonly token: string | undefined;
  readonly encoding: EncodingName;
  readonly takesPart: boolean;
  readonly pace: Pace;
  /** Where the line stands now; `undefined` before it stood anywhere. */
  after(): string | undefined;
  /** The same of one channel or pattern. */
  placeOf(filter: string): string | undefined;
  /** One filter is answered. The line is live when all of them are. */
  begun(beginning: Beginning): void;
  message(message: LineMessage): void;
  /** What was handed on may come again, as at least once allows. It is left out, not counted. */
  again(): void;
  /** A channel that was named stands here: what is left out before it has expired. */
  reached(channel: string, position: string): void;
  /** Everything up to here was handed on, of these patterns. */
  marked(filters: readonly string[], mark: string): void;
  /** Loss that the server told of while live. */
  gap(channel: string, gap: Gap, at: Position | undefined): void;
  expired(channel: string, epoch: string, from: number, to: number): void;
  tell(event: Passing): void;
  /** The connection is gone; another try may work. */
  lost(reason: string, retryAfterMs?: number): void;
  /** The same input would be refused again. */
  refused(reason: string): void;
}

/** Ends an attempt's connection without another word to the attempt. */
export type HangUp = () => void;

/** Tries to connect. Must not call the attempt before it has returned. */
export type Dial = (attempt: Attempt) => HangUp;

/** Opens a line that dials at once and again after every loss. */
export function createLine(dial: Dial, options: LineOptions): Line {
  return new DialledLine(dial, options);
}

class DialledLine implements Line {
  readonly standing: Standing;
  readonly #dial: Dial;
  readonly #options: LineOptions;
  readonly #pace: Pace;
  #status: LineStatus = { state: 'connecting', tries: 0 };
  #liveSince: number | undefined;
  #end: () => void = nothing;

  constructor(dial: Dial, options: LineOptions) {
    this.standing = new Standing(options.filters, options.standing);
    this.#dial = dial;
    this.#options = options;
    this.#pace = options.pace ?? browserPace;
    this.#try();
  }

  get status(): LineStatus {
    return this.#status;
  }

  cut(): void {
    this.#end();
    this.#liveSince = undefined;
    this.#become({ state: 'cut', tries: 0 });
  }

  resume(): void {
    if (this.#status.state !== 'cut' && this.#status.state !== 'gave-up') return;
    this.#become({ state: 'connecting', tries: 0 });
    this.#try();
  }

  renew(): void {
    if (this.#status.state === 'cut') return;
    this.#end();
    this.#become({ state: 'connecting', tries: 0 });
    this.#try();
  }

  #try(): void {
    const { server, filters, token, encoding, takesPart } = this.#options;
    const { standing } = this;
    let over = false;
    const heard = <Args extends readonly unknown[]>(task: (...args: Args) => void) => {
      return (...args: Args): void => {
        if (!over) task(...args);
      };
    };
    const opening = new Opening(standing);
    standing.prepare();
    const attempt: Attempt = {
      server,
      filters,
      token: token?.(),
      encoding: encoding?.() ?? 'json',
      takesPart: takesPart?.() ?? false,
      pace: this.#pace,
      after: () => standing.after,
      placeOf: (filter) => standing.placeOf(filter),
      begun: heard((beginning: Beginning) => this.#begun(opening, beginning)),
      message: heard((message: LineMessage) => this.#message(message)),
      again: heard(() => standing.expectAgain()),
      reached: heard((channel: string, text: string) => {
        const position = parsePosition(text);
        if (position !== undefined) standing.skipTo(channel, position);
      }),
      marked: heard((of: readonly string[], mark: string) => standing.mark(of, mark)),
      gap: heard((channel: string, gap: Gap, at: Position | undefined) =>
        this.#gap(channel, gap, at),
      ),
      expired: heard((channel: string, epoch: string, from: number, to: number) => {
        standing.skipTo(channel, { epoch, offset: to });
        this.#tell({ kind: 'expired', channel, epoch, from, to });
      }),
      tell: heard((event: Passing) => this.#tell(event)),
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

  #begun(opening: Opening, beginning: Beginning): void {
    const { filter } = beginning;
    const gap = opening.gapOf(beginning);
    if (gap !== undefined || beginning.isVolatile) this.standing.forget(filter);
    const place = opening.placeOf(beginning, gap);
    this.standing.begin(filter, place);
    if (beginning.isKept === true) this.standing.beginUntold(filter);
    this.#tell({ kind: 'begun', filter, at: parsePosition(place ?? ''), gap });
    const verdict = opening.add(beginning, gap);
    if (verdict === undefined) return;
    this.#liveSince ??= this.#pace.now();
    this.#tell({ kind: 'verdict', verdict });
    this.#become({ state: 'live', tries: this.#status.tries });
  }

  #message(message: LineMessage): void {
    const { channel, position } = message;
    if (position !== undefined && !this.standing.take(channel, position)) return;
    this.#tell({ kind: 'message', message });
  }

  #gap(channel: string, gap: Gap, at: Position | undefined): void {
    if (at !== undefined) this.standing.skipTo(channel, at);
    this.#tell({ kind: 'gap', channel, gap, at });
  }

  #tell(event: LineEvent): void {
    this.#options.onEvent(event);
  }

  #lost(reason: string, retryAfterMs?: number): void {
    this.#end();
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
    this.#tell({ kind: 'state', status });
  }
}

/** The answers to one attempt, until there is one for each filter. */
class Opening {
  readonly #asked: ReadonlyMap<string, string>;
  readonly #left: Set<string>;
  readonly #isAlone: boolean;
  readonly #from = new Map<string, Position>();
  #gap: Gap | undefined;
  /** True when something went on from where only the server knows. */
  #wentOn = false;

  constructor(standing: Standing) {
    this.#left = new Set(standing.filters);
    this.#isAlone = this.#left.size === 1;
    this.#asked = new Map(
      standing.filters.flatMap((filter) => {
        const place = standing.placeOf(filter);
        return place === undefined ? [] : [[filter, place]];
      }),
    );
  }

  /** The gap that an answer means. Doubt counts as loss: only a clear `recovered` is none. */
  gapOf({ filter, place, recovered, gap, isVolatile, isKept }: Beginning): Gap | undefined {
    if (gap !== undefined) return gap;
    if (isVolatile) return undefined;
    if (isKept === true) return recovered === false ? { reason: 'unknown' } : undefined;
    const isNowhere = place === undefined && !isWildcard(filter);
    const isDoubtful = this.#asked.has(filter) && recovered !== true;
    return isNowhere || isDoubtful ? { reason: 'unknown' } : undefined;
  }

  /** A name that lost nothing goes on from the place it asked for: a server that skips is found out. */
  placeOf({ filter, place }: Beginning, gap: Gap | undefined): string | undefined {
    return isWildcard(filter) || gap !== undefined ? place : (this.#asked.get(filter) ?? place);
  }

  /** @returns what became of all of them, with the last one's answer. */
  add({ filter, place, recovered, isKept }: Beginning, gap: Gap | undefined): Verdict | undefined {
    if (!this.#left.delete(filter)) return undefined;
    this.#gap ??= gap;
    this.#wentOn ||= isKept === true && recovered === true;
    const at = parsePosition(place ?? '');
    const asked = parsePosition(this.#asked.get(filter) ?? '');
    if (asked !== undefined) this.#from.set(filter, asked);
    if (this.#left.size > 0) return undefined;
    if (this.#gap !== undefined) return { kind: 'gap', gap: this.#gap };
    if (this.#asked.size === 0 && !this.#wentOn)
      return { kind: 'started', at: this.#isAlone ? at : undefined };
    return { kind: 'recovered', from: this.#from };
  }
}

function nothing(): void {}
