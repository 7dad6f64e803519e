/**
 * Reader: what one pane shows. It has one line at a time and goes on counting over all of them:
 * when a position moves to another transport, the counts and the story move with it.
 */
import { formatPosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { Changes } from './changes.ts';
import { beginAt, countGap, countMessage, EMPTY_LEDGER } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import type { Line, LineMessage, LineStatus, Verdict } from './lines/line.ts';
import { advance, EMPTY_TRACK, pause } from './track.ts';
import type { Track } from './track.ts';
import { labelOf } from './transports.ts';
import type { Transport, TransportName } from './transports.ts';
import { verdictSentence } from './verdict.ts';
import type { Sentence } from './verdict.ts';

/** Rows that a pane keeps. */
export const ROWS_MAX = 200;

/** What a pane lists: messages, and what happened between them. */
export type Row = { readonly key: number } & (
  | {
      readonly kind: 'message';
      readonly message: LineMessage;
      /** The resume after which it came: tells, once known, whether it was caught up. */
      readonly after: Outcome | undefined;
    }
  | { readonly kind: 'note'; readonly note: Note }
);

/** What happened, said at the time it is drawn: a recovery learns its count a little later. */
export type Note =
  | { readonly kind: 'said'; readonly sentence: Sentence }
  | { readonly kind: 'verdict'; readonly outcome: Outcome };

/** A verdict and the channel's newest position then, once that is known. */
export interface Outcome {
  readonly verdict: Verdict;
  newest: Position | undefined;
}

/** What a reader asks of the page. */
export interface ReaderContext {
  /** The channel's newest position now; `undefined` when it can't be told. */
  newest(channel: string): Promise<Position | undefined>;
  onMessage(message: LineMessage): void;
}

/** What one reader hands to another. */
export interface Handover {
  readonly ledger: Ledger;
  readonly rows: readonly Row[];
  readonly track: Track;
  readonly via: readonly TransportName[];
  readonly position: Position | undefined;
}

/** Where a reader reads, and as whom. */
export interface Reading {
  /** The server's origin. */
  readonly server: string;
  readonly channel: string;
  token(): string | undefined;
  readonly events: readonly string[];
}

const IDLE: LineStatus = { state: 'cut', tries: 0 };

/** One pane's state. */
export class Reader {
  readonly changes = new Changes();
  readonly transport: Transport;
  readonly #context: ReaderContext;
  #line: Line | undefined;
  #nextKey = 1;
  #channel = '';
  ledger: Ledger = EMPTY_LEDGER;
  /** Newest first. */
  rows: readonly Row[] = [];
  track: Track = EMPTY_TRACK;
  status: LineStatus = IDLE;
  /** The last answer to a place to go on from, or the last announced gap. */
  outcome: Outcome | undefined;
  /** The transports the position came over, this one last. */
  via: readonly TransportName[];

  constructor(transport: Transport, context: ReaderContext) {
    this.transport = transport;
    this.#context = context;
    this.via = [transport.name];
  }

  get position(): Position | undefined {
    return this.#line?.position;
  }

  /** The last verdict in words, with the count of what was caught up as far as it is known. */
  get sentence(): Sentence | undefined {
    const { outcome } = this;
    return outcome && verdictSentence(outcome.verdict, outcome.newest, this.position);
  }

  /** Begins anew: forgets everything and reads from now on. */
  start(reading: Reading): void {
    this.#reset();
    this.#open(reading, undefined);
  }

  /** Goes on from where it stands with the token of now; a reader that was cut stays cut. */
  renew(): void {
    this.#line?.renew();
  }

  /** Drops the connection and keeps the position. */
  cut(): void {
    this.#line?.cut();
  }

  /** Goes on from the position. */
  resume(): void {
    this.#line?.resume();
  }

  /** Learns event names that messages of the channel carry. */
  expect(events: readonly string[]): void {
    this.#line?.expect(events);
  }

  /** Gives up the position to another reader; this one stays, cut, where it was. */
  handOver(to: TransportName): Handover {
    this.cut();
    const handover = {
      ledger: this.ledger,
      rows: this.rows,
      track: this.track,
      via: this.via,
      position: this.position,
    };
    this.#say({ tone: 'plain', text: `Continued over ${labelOf(to)}` });
    this.changes.notify();
    return handover;
  }

  /** Goes on from another reader's position, with its counts. */
  takeOver(handover: Handover, reading: Reading): void {
    this.#reset();
    const { position } = handover;
    const from = labelOf(handover.via.at(-1) ?? this.transport.name);
    this.#nextKey = (handover.rows[0]?.key ?? 0) + 1;
    this.ledger = handover.ledger;
    this.rows = handover.rows;
    this.track = handover.track;
    this.via = [...handover.via, this.transport.name].slice(-VIA_MAX);
    const place = position === undefined ? 'the start' : formatPosition(position);
    this.#say({ tone: 'plain', text: `Goes on from ${from} at ${place}` });
    this.#open(reading, position);
  }

  #reset(): void {
    this.#line?.cut();
    this.#line = undefined;
    this.ledger = EMPTY_LEDGER;
    this.rows = [];
    this.track = EMPTY_TRACK;
    this.outcome = undefined;
    this.via = [this.transport.name];
  }

  #open(reading: Reading, position: Position | undefined): void {
    this.#channel = reading.channel;
    // A line speaks only after `connect` has returned, except of its first state, set here.
    this.status = { state: 'connecting', tries: 0 };
    this.#line = this.transport.connect({
      server: reading.server,
      channel: reading.channel,
      events: reading.events,
      ...(position === undefined ? {} : { after: formatPosition(position) }),
      token: () => reading.token(),
      onMessage: (message) => this.#onMessage(message),
      onVerdict: (verdict) => this.#onVerdict(verdict),
      onState: (status) => this.#onState(status),
    });
    this.changes.notify();
  }

  #onMessage(message: LineMessage): void {
    this.ledger = countMessage(this.ledger, message.position);
    this.track = advance(this.track, performance.now(), message.position);
    this.#add({ kind: 'message', message, after: this.outcome });
    this.#context.onMessage(message);
    this.changes.notify();
  }

  #onVerdict(verdict: Verdict): void {
    const outcome: Outcome = { verdict, newest: undefined };
    this.outcome = outcome;
    if (verdict.kind === 'gap') this.ledger = countGap(this.ledger, verdict.at);
    else this.ledger = beginAt(this.ledger, verdict.kind === 'started' ? verdict.at : verdict.from);
    const at = this.ledger.at;
    if (at !== undefined) this.track = advance(this.track, performance.now(), at);
    this.#add({ kind: 'note', note: { kind: 'verdict', outcome } });
    this.changes.notify();
    if (verdict.kind !== 'recovered') return;
    void this.#context.newest(this.#channel).then((newest) => {
      outcome.newest = newest;
      this.changes.notify();
    });
  }

  #onState(status: LineStatus): void {
    const before = this.status.state;
    this.status = status;
    this.track = pause(this.track, performance.now(), status.state !== 'live');
    if (status.state === 'cut' && before !== 'cut') {
      this.#say({ tone: 'plain', text: 'Cut' });
    } else if (status.state === 'reconnecting' && before === 'live') {
      this.#say({ tone: 'bad', text: `Lost: ${status.reason ?? 'the connection broke'}` });
    } else if (status.state === 'gave-up') {
      this.#say({ tone: 'bad', text: 'Gave up' });
    }
    this.changes.notify();
  }

  #say(sentence: Sentence): void {
    this.#add({ kind: 'note', note: { kind: 'said', sentence } });
  }

  #add(row: RowBody): void {
    this.rows = [{ ...row, key: this.#nextKey }, ...this.rows.slice(0, ROWS_MAX - 1)];
    this.#nextKey += 1;
  }
}

/** Names kept of a long way. */
const VIA_MAX = 5;

/** A row before it has its key. */
type RowBody = Row extends infer One ? (One extends Row ? Omit<One, 'key'> : never) : never;

/** True for a message that had come while the reader was away. */
export function isCaughtUp({ position }: LineMessage, after: Outcome | undefined): boolean {
  const newest = after?.newest;
  return (
    newest !== undefined && newest.epoch === position.epoch && position.offset <= newest.offset
  );
}
