/**
 * Reader: what one pane shows. It has one line at a time and goes on counting over all of them:
 * when a place moves to another transport, the counts and the story move with it.
 */
import { isWildcard, matchesPattern } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import { Changes } from './changes.ts';
import { isMany } from './filters.ts';
import { Ledger } from './ledger.ts';
import type { Hole } from './ledger.ts';
import type {
  EncodingName,
  Line,
  LineEvent,
  LineMessage,
  LineSnapshot,
  LineStatus,
  PresenceNews,
  Verdict,
} from './lines/line.ts';
import type { Standing } from './lines/standing.ts';
import { advance, EMPTY_TRACK, pause } from './track.ts';
import type { Track } from './track.ts';
import { carry, countBytes, countMessage, EMPTY_TRAFFIC } from './traffic.ts';
import type { Traffic } from './traffic.ts';
import { labelOf } from './transports.ts';
import type { Transport, TransportName } from './transports.ts';
import { gapText, verdictSentence } from './verdict.ts';
import type { Sentence } from './verdict.ts';

/** Rows that a pane keeps. */
export const ROWS_MAX = 200;

/** Channels whose newest message is looked up to say what was caught up. */
const LOOKUPS_MAX = 4;

/** Holes that wait to be looked up; more are counted as missed at once. */
const HOLES_MAX = 100;

/** What a pane lists: messages, and what happened between them. */
export type Row = { readonly key: number } & (
  | {
      readonly kind: 'message';
      readonly message: LineMessage;
      /** The resume after which it came: tells, once known, whether it was caught up. */
      readonly after: Outcome | undefined;
    }
  | { readonly kind: 'note'; readonly note: Note }
  | { readonly kind: 'snapshot'; readonly snapshot: LineSnapshot }
);

/** What happened, said at the time it is drawn: a recovery learns its count a little later. */
export type Note =
  | { readonly kind: 'said'; readonly sentence: Sentence }
  | { readonly kind: 'verdict'; readonly outcome: Outcome };

/** A verdict and the newest positions of the channels then, once they are known. */
export interface Outcome {
  readonly verdict: Verdict;
  newest: ReadonlyMap<string, Position> | undefined;
}

/** What a reader asks of the page. */
export interface ReaderContext {
  /** The channel's newest position now; `undefined` when it can't be told. */
  newest(channel: string): Promise<Position | undefined>;
  /** How many messages of a hole the log has; `undefined` when it can't be told now. */
  kept(hole: Hole): Promise<number | undefined>;
  onPresence(news: PresenceNews): void;
  /** Presence lists this reader under that word. */
  onSession(session: string): void;
}

/** What one reader hands to another. */
export interface Handover {
  readonly ledger: Ledger;
  readonly rows: readonly Row[];
  readonly track: Track;
  readonly via: readonly TransportName[];
  readonly standing: Standing | undefined;
}

/** Where a reader reads, and as whom. */
export interface Reading {
  /** The server's origin. */
  readonly server: string;
  readonly filters: readonly string[];
  token(): string | undefined;
  takesPart(): boolean;
}

const IDLE: LineStatus = { state: 'cut', tries: 0 };

/** One pane's state. */
export class Reader {
  readonly changes = new Changes();
  readonly transport: Transport;
  readonly #context: ReaderContext;
  #line: Line | undefined;
  #nextKey = 1;
  #filters: readonly string[] = [];
  /** Holes of which the log was not asked yet. */
  #holes: readonly Hole[] = [];
  ledger = new Ledger();
  /** Newest first. */
  rows: readonly Row[] = [];
  track: Track = EMPTY_TRACK;
  traffic: Traffic = EMPTY_TRAFFIC;
  status: LineStatus = IDLE;
  encoding: EncodingName = 'json';
  /** The last answer to a place to go on from. */
  outcome: Outcome | undefined;
  /** The transports the place came over, this one last. */
  via: readonly TransportName[];

  constructor(transport: Transport, context: ReaderContext) {
    this.transport = transport;
    this.#context = context;
    this.via = [transport.name];
  }

  get standing(): Standing | undefined {
    return this.#line?.standing;
  }

  /** True when messages of more than one channel may come. */
  get isMany(): boolean {
    return isMany(this.#filters);
  }

  /** The last verdict in words, with the count of what was caught up as far as it is known. */
  get sentence(): Sentence | undefined {
    return this.outcome && this.say(this.outcome);
  }

  /** A verdict in words, as far as it is known now. */
  say({ verdict, newest }: Outcome): Sentence {
    return verdictSentence(verdict, newest, (channel) => this.ledger.at(channel));
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

  /** Goes on from where it stands in another encoding. */
  encode(encoding: EncodingName): void {
    this.encoding = encoding;
    this.#line?.renew();
    this.changes.notify();
  }

  /** Drops the connection and keeps the place. */
  cut(): void {
    this.#line?.cut();
  }

  /** Goes on from the place. */
  resume(): void {
    this.#line?.resume();
  }

  /** Gives up the place to another reader; this one stays, cut, where it was. */
  handOver(to: TransportName): Handover {
    this.cut();
    const { ledger, rows, track, via, standing } = this;
    this.#note({ tone: 'plain', text: `Continued over ${labelOf(to)}` });
    this.changes.notify();
    return { ledger, rows, track, via, standing };
  }

  /** Goes on from another reader's place, with its counts. */
  takeOver(handover: Handover, reading: Reading): void {
    this.#reset();
    const { standing } = handover;
    const from = labelOf(handover.via.at(-1) ?? this.transport.name);
    this.#nextKey = (handover.rows[0]?.key ?? 0) + 1;
    this.ledger = new Ledger(handover.ledger);
    this.rows = handover.rows;
    this.track = handover.track;
    this.via = [...handover.via, this.transport.name].slice(-VIA_MAX);
    this.#note({ tone: 'plain', text: `Goes on from ${from} at ${placeText(standing)}` });
    this.#open(reading, standing);
  }

  #reset(): void {
    this.#line?.cut();
    this.#line = undefined;
    this.#holes = [];
    this.ledger = new Ledger();
    this.rows = [];
    this.track = EMPTY_TRACK;
    this.traffic = EMPTY_TRAFFIC;
    this.outcome = undefined;
    this.via = [this.transport.name];
  }

  #open(reading: Reading, standing: Standing | undefined): void {
    this.#filters = reading.filters;
    // A line speaks only after `connect` has returned, except of its first state, set here.
    this.status = { state: 'connecting', tries: 0 };
    const line = this.transport.connect({
      server: reading.server,
      filters: reading.filters,
      ...(standing === undefined ? {} : { standing }),
      token: () => reading.token(),
      encoding: () => this.encoding,
      takesPart: () => reading.takesPart(),
      // What an earlier line still tells is its own affair.
      onEvent: (event) => {
        if (this.#line === line) this.#onEvent(event);
      },
    });
    this.#line = line;
    this.changes.notify();
  }

  #onEvent(event: LineEvent): void {
    switch (event.kind) {
      case 'state':
        this.#onState(event.status);
        break;
      case 'verdict':
        this.#onVerdict(event.verdict);
        break;
      case 'begun':
        this.#onBegun(event.filter, event.at, event.gap);
        break;
      case 'message':
        this.#onMessage(event.message);
        break;
      case 'gap':
        this.ledger.gap(event.channel, event.at);
        this.#advance();
        this.#noteGap(event.channel, event.gap);
        break;
      case 'expired': {
        const { channel, epoch, from, to } = event;
        this.#count(this.ledger.expire(channel, epoch, from, to));
        this.#advance();
        break;
      }
      case 'snapshot':
        this.#add({ kind: 'snapshot', snapshot: event.snapshot });
        break;
      case 'presence':
        this.#context.onPresence(event.news);
        break;
      case 'session':
        this.#context.onSession(event.session);
        break;
      case 'carrier':
        this.traffic = carry(this.traffic, event.carrier);
        break;
      case 'bytes':
        this.traffic = countBytes(this.traffic, event.count);
        break;
    }
    this.changes.notify();
  }

  #onMessage(message: LineMessage): void {
    this.#count(this.ledger.message(message.channel, message.position));
    this.traffic = countMessage(this.traffic);
    this.#advance();
    this.#add({ kind: 'message', message, after: this.outcome });
  }

  #onBegun(filter: string, at: Position | undefined, gap: Gap | undefined): void {
    const { ledger } = this;
    if (!isWildcard(filter)) {
      if (gap !== undefined) ledger.gap(filter, at);
      else if (at !== undefined) ledger.begin(filter, at);
    } else if (gap?.reason === 'unknown') {
      // Of every other loss behind a pattern each channel is told of by itself [WILD-5].
      ledger.lose((channel) => matchesPattern(filter, channel));
    }
    this.#advance();
  }

  #onVerdict(verdict: Verdict): void {
    const outcome: Outcome = { verdict, newest: undefined };
    this.outcome = outcome;
    this.#add({ kind: 'note', note: { kind: 'verdict', outcome } });
    void this.#settle(); // Never rejects, as `kept` does not.
    if (verdict.kind === 'recovered') void this.#lookUp(outcome, verdict.from); // Neither does this.
  }

  /** Finds out what there was to catch up. */
  async #lookUp(outcome: Outcome, from: ReadonlyMap<string, Position>): Promise<void> {
    const channels = [...from.keys()];
    // What a pattern brought has no end to look up.
    if (channels.length > LOOKUPS_MAX || this.#filters.some(isWildcard)) return;
    const found = await Promise.all(
      channels.map(async (channel) => [channel, await this.#context.newest(channel)] as const),
    );
    const newest = new Map<string, Position>();
    for (const [channel, position] of found) {
      if (position !== undefined) newest.set(channel, position);
    }
    if (newest.size === channels.length) outcome.newest = newest;
    this.changes.notify();
  }

  /** A hole is loss, unless the transport can't tell what expired and the log has it no more. */
  #count(hole: Hole | undefined): void {
    if (hole === undefined) return;
    if (this.transport.tellsExpired(this.#filters) || this.#holes.length >= HOLES_MAX) {
      this.ledger.miss(hole);
      return;
    }
    this.#holes = [...this.#holes, hole];
    void this.#settle(); // Never rejects, as `kept` does not.
  }

  /** Asks the log for what never came; what it can't say now is asked again at the next opening. */
  async #settle(): Promise<void> {
    const { ledger } = this;
    const holes = this.#holes;
    this.#holes = [];
    const open = await Promise.all(
      holes.map(async (hole) => {
        const kept = await this.#context.kept(hole);
        if (kept === undefined) return [hole];
        ledger.miss(hole, kept);
        return [];
      }),
    );
    if (ledger === this.ledger) this.#holes = [...this.#holes, ...open.flat()];
    this.changes.notify();
  }

  /** Of one channel the track shows its offsets, of several how many messages came. */
  #advance(): void {
    const [only = ''] = this.#filters;
    const counted = { epoch: '', offset: this.ledger.received };
    const at = this.isMany ? counted : (this.ledger.at(only) ?? counted);
    this.track = advance(this.track, performance.now(), at);
  }

  #onState(status: LineStatus): void {
    const before = this.status.state;
    this.status = status;
    this.track = pause(this.track, performance.now(), status.state !== 'live');
    if (status.state === 'cut' && before !== 'cut') {
      this.#note({ tone: 'plain', text: 'Cut' });
    } else if (status.state === 'reconnecting' && before === 'live') {
      this.#note({ tone: 'bad', text: `Lost: ${status.reason ?? 'the connection broke'}` });
    } else if (status.state === 'gave-up') {
      this.#note({ tone: 'bad', text: 'Gave up' });
    }
  }

  #noteGap(channel: string, gap: Gap): void {
    const text = this.isMany ? `${channel}: ${gapText(gap)}` : gapText(gap);
    this.#note({ tone: 'bad', text });
  }

  #note(sentence: Sentence): void {
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
export function isCaughtUp(message: LineMessage, after: Outcome | undefined): boolean {
  const { channel, position } = message;
  const newest = after?.newest?.get(channel);
  if (newest === undefined || position === undefined) return false;
  return newest.epoch === position.epoch && position.offset <= newest.offset;
}

/** Where a line stands, for people: a position, a mark, or how many of them. */
export function placeText(standing: Standing | undefined): string {
  const places = standing?.filters.flatMap((filter) => standing.placeOf(filter) ?? []) ?? [];
  const [first] = places;
  if (first === undefined) return 'no place yet';
  if (places.every((place) => place === first)) return first;
  return `${String(places.length)} places`;
}
