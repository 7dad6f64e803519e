/** ScriptedBroker: a broker in memory whose failures, delays and silences the test decides. */
import { matchesPattern } from '@trunkline/wire';
import type { Draft, Message } from '@trunkline/wire';
import { BrokerError } from '../../src/broker/broker.ts';
import type {
  Broker,
  BrokerSink,
  ChangedChannel,
  ChannelFilter,
  Published,
  ReadRange,
  StreamSlice,
} from '../../src/broker/broker.ts';
import type { StateStore } from '../../src/broker/state.ts';

interface Stream {
  epoch: string;
  oldest: number;
  messages: Message[];
}

const noState: StateStore = {
  get: () => Promise.resolve(undefined),
  put: () => Promise.resolve(1),
  delete: () => Promise.resolve(false),
  list: () => Promise.resolve([]),
};

export class ScriptedBroker implements Broker {
  readonly state = noState;
  readonly watched = new Set<string>();
  readonly patterns = new Set<string>();
  readonly readRanges: ReadRange[] = [];
  /** While set, reads fail; one made for a range decides for each. */
  failure: Error | ((range: ReadRange) => Error | undefined) | undefined;
  /** While true, publishes are neither stored nor answered. */
  stalled = false;
  /** Called when a mark is taken, before whoever asked for it has it. */
  onMark: (() => void) | undefined;
  /** How often it was asked what changed since a mark. */
  changedCount = 0;
  /** While true, it can't be said at once up to where the sink was told everything. */
  placeUnknown = false;
  /** While true, nobody knows whether messages were stored: the sink has to look. They were. */
  doubtful = false;
  /** While true, messages are stored and the sink is not told. */
  silent = false;
  /**
   * True where a place is told as the beginning of the stream once something after it was removed,
   * as logs do that do not know any more how much that was.
   */
  forgetsPlaces = false;
  /** While it fails, nobody can say what changed. */
  changedFailure: Error | undefined;
  /** While it fails, nothing can be watched. */
  watchFailure: Error | undefined;
  readonly #streams = new Map<string, Stream>();
  readonly #order: {
    readonly channel: string;
    readonly epoch: string;
    readonly offset: number;
  }[] = [];
  #sink: BrokerSink | undefined;
  #epochs = 0;
  #held: { readonly released: Promise<void>; readonly release: () => void } | undefined;
  /** What the sink is told later, in order; absent while it is told at once. */
  #untold: (() => void)[] | undefined;

  open(sink: BrokerSink): Promise<void> {
    this.#sink = sink;
    return Promise.resolve();
  }

  publish(channel: string, draft: Draft): Promise<Published> {
    if (this.stalled) return new Promise(() => {});
    const stream = this.#stream(channel);
    if (stream.epoch === '0') stream.epoch = `e${(this.#epochs += 1)}`;
    const offset = stream.oldest + stream.messages.length;
    const message: Message = { ...draft, offset, time: 1000 };
    stream.messages.push(message);
    this.#order.push({ channel, epoch: stream.epoch, offset });
    const { epoch } = stream;
    const { doubtful } = this;
    const tell = (): void => {
      if (!this.#isWatched(channel)) return;
      if (doubtful) this.#sink?.onGap(channel);
      else this.#sink?.onMessage(channel, epoch, message);
    };
    if (this.#untold !== undefined) this.#untold.push(tell);
    else if (!this.silent) tell();
    return Promise.resolve({ position: { epoch: stream.epoch, offset }, duplicate: false });
  }

  async read(channel: string, range: ReadRange): Promise<StreamSlice> {
    this.readRanges.push(range);
    await (this.#held?.released ?? Promise.resolve());
    const failure = typeof this.failure === 'function' ? this.failure(range) : this.failure;
    if (failure !== undefined) throw failure;
    const { epoch, oldest, messages } = this.#stream(channel);
    const { before, after } = range;
    const found =
      before === undefined
        ? within(
            range,
            messages.filter(({ offset }) => offset > after),
          )
        : within(range, messages.filter(({ offset }) => offset < before).toReversed()).reverse();
    return { epoch, oldest, top: oldest + messages.length - 1, messages: found };
  }

  /** From now on reads wait until `releaseReads`; they see the stream as it is then. */
  holdReads(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = { released: promise, release: resolve };
  }

  releaseReads(): void {
    this.#held?.release();
    this.#held = undefined;
  }

  /** From now on the sink is told of messages only by `tell`. They are in the log at once. */
  holdSink(): void {
    this.#untold ??= [];
  }

  /** Tells the sink so many of the messages that it was not told of. */
  tell(count = Number.POSITIVE_INFINITY): void {
    for (const tell of this.#untold?.splice(0, count) ?? []) tell();
  }

  /** The sink is never told of those messages, and from now on at once. */
  forgetUntold(): void {
    this.#untold = undefined;
  }

  /** Tells the sink the rest, and from now on at once. */
  releaseSink(): void {
    this.tell();
    this.#untold = undefined;
  }

  watch(channel: string): Promise<void> {
    if (this.watchFailure !== undefined) return Promise.reject(this.watchFailure);
    this.watched.add(channel);
    return Promise.resolve();
  }

  unwatch(channel: string): void {
    this.watched.delete(channel);
  }

  watchPattern(pattern: string): Promise<void> {
    this.patterns.add(pattern);
    return Promise.resolve();
  }

  unwatchPattern(pattern: string): void {
    this.patterns.delete(pattern);
  }

  broadcast(channel: string, draft: Draft): void {
    if (this.#isWatched(channel)) this.#sink?.onBroadcast(channel, draft);
  }

  purge(channel: string): Promise<void> {
    this.lose(channel);
    this.#order.push({ channel, epoch: '0', offset: 0 });
    const tell = (): void => {
      if (this.#isWatched(channel)) this.#sink?.onGap(channel);
    };
    if (this.#untold === undefined) tell();
    else this.#untold.push(tell);
    return Promise.resolve();
  }

  place(): string | undefined {
    return this.placeUnknown ? undefined : this.#place;
  }

  mark(): Promise<string> {
    const mark = this.#place;
    this.onMark?.();
    return Promise.resolve(mark);
  }

  changedSince(
    mark: string | undefined,
    filter: ChannelFilter,
  ): Promise<ChangedChannel[] | undefined> {
    this.changedCount += 1;
    if (this.changedFailure !== undefined) return Promise.reject(this.changedFailure);
    const place = /^~(\d+)$/.exec(mark ?? '~0');
    if (place === null) return Promise.resolve(undefined);
    const after = Number(place[1]);
    const since = this.#order.slice(after);
    const names = new Set(since.map(({ channel }) => channel));
    const accepts = (name: string) => filter.some((text) => matchesPattern(text, name));
    const changed = [...names].filter(accepts).map((channel) => {
      const before = this.#order.slice(0, after).findLast((entry) => entry.channel === channel);
      const { epoch, oldest, messages } = this.#stream(channel);
      const isForgotten =
        this.forgetsPlaces &&
        since.some((entry) => {
          return entry.channel === channel && entry.epoch === epoch && entry.offset < oldest;
        });
      const position =
        before === undefined
          ? { epoch: '0', offset: 0 }
          : { epoch: before.epoch, offset: isForgotten ? 0 : before.offset };
      return { channel, position, stream: { epoch, oldest, top: oldest + messages.length - 1 } };
    });
    return Promise.resolve(changed);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Retention takes everything below `oldest`. */
  trim(channel: string, oldest: number): void {
    const stream = this.#stream(channel);
    stream.messages = stream.messages.filter(({ offset }) => offset >= oldest);
    stream.oldest = oldest;
  }

  /** The stream loses what came after `top`, which no backplane should. */
  truncate(channel: string, top: number): void {
    const stream = this.#stream(channel);
    stream.messages = stream.messages.filter(({ offset }) => offset <= top);
  }

  /** The stream is lost; the next publish begins a new life. */
  lose(channel: string): void {
    this.#streams.delete(channel);
  }

  /** Says that something may have been missed. */
  doubt(channel: string): void {
    this.#sink?.onGap(channel);
  }

  get #place(): string {
    return `~${this.#order.length - (this.#untold?.length ?? 0)}`;
  }

  #isWatched(channel: string): boolean {
    if (this.watched.has(channel)) return true;
    return [...this.patterns].some((pattern) => matchesPattern(pattern, channel));
  }

  #stream(channel: string): Stream {
    const known = this.#streams.get(channel);
    if (known !== undefined) return known;
    const stream: Stream = { epoch: '0', oldest: 1, messages: [] };
    this.#streams.set(channel, stream);
    return stream;
  }
}

/** As many of them as the range allows; at least one. */
function within({ countMax, sizeMax }: ReadRange, messages: readonly Message[]): Message[] {
  const found: Message[] = [];
  let size = 0;
  for (const message of messages) {
    size += message.payload.length;
    if (found.length === countMax || (size > sizeMax && found.length > 0)) break;
    found.push(message);
  }
  return found;
}

/** What a broker that can't be reached says. */
export const away = new BrokerError('unavailable', 'the log can not be read');
