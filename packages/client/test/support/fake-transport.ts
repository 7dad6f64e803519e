/** A transport whose server is the test: it notes what is to be read, and opens it at once. */
import { CodedError } from '@trunkline/wire';
import type { CodeName, Member } from '@trunkline/wire';
import type { Frame } from '../../src/encodings/encoding.ts';
import type {
  Ask,
  Attempt,
  AttemptSink,
  Target,
  Transport,
  Wish,
} from '../../src/transports/transport.ts';

export class FakeTransport implements Transport {
  readonly name = 'websocket';
  /** What was asked for, in order: a wish, or the filter that is not to be read any more. */
  readonly wishes: (Wish | string)[] = [];
  readonly asks: Ask[] = [];
  /** What was sent without an answer. */
  readonly sent: string[] = [];
  /** Filters that are read now. */
  readonly read = new Set<string>();
  /** Filters that are refused. */
  readonly forbidden = new Set<string>();
  /** What is to be asked for at the end of this turn. */
  readonly #due = new Set<string>();
  #sink: AttemptSink | undefined;
  #isReady = false;
  #offset = 0;

  fault(): undefined {
    return undefined;
  }

  open(_target: Target, sink: AttemptSink): Attempt {
    this.#sink = sink;
    this.read.clear();
    return {
      revise: (filter) => this.#plan(filter),
      request: (ask) => this.#answer(ask),
      send: (members) => this.sent.push(members),
      renew: () => {},
      probe: () => {},
      close: () => (this.#sink = undefined),
    };
  }

  /** Takes the attempt that waits, and reads what is to be read. */
  accept(): void {
    this.#isReady = true;
    this.#sink?.onReady({ session: 's' });
    for (const filter of this.#sink?.filters() ?? []) this.#ask(filter);
  }

  /** The connection is lost. */
  drop(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    this.#isReady = false;
    sink?.onEnd({ kind: 'lost', reason: 'dropped' });
  }

  /** The next messages of a channel, whose payloads these are. */
  push(channel: string, ...values: readonly unknown[]): void {
    for (const data of values) {
      this.#offset += 1;
      const place = { offset: this.#offset, epoch: 'e', time: 1 };
      this.#sink?.onMessage({ kind: 'message', channel, data, ...place });
    }
  }

  /** Messages of a channel are lost. */
  lose(channel: string): void {
    this.#offset += 5;
    const position = `e:${this.#offset}`;
    this.#sink?.onGap({ kind: 'gap', channel, gap: { reason: 'trimmed' }, position });
  }

  /** Everything up to the mark was told. */
  reach(mark: string, ...filters: readonly string[]): void {
    this.#sink?.onMark(filters, mark);
  }

  /** Who is there. */
  list(channel: string, ...members: readonly Member[]): void {
    this.#sink?.onPresence({ kind: 'presence', channel, members, count: members.length });
  }

  /** So many are there, too many to list. */
  crowd(channel: string, count: number, ...members: readonly Member[]): void {
    this.#sink?.onPresence({ kind: 'presence', channel, members, count, next: 'more' });
  }

  join(channel: string, member: Member): void {
    this.#sink?.onPresence({ kind: 'join', channel, member });
  }

  leave(channel: string, member: Member): void {
    this.#sink?.onPresence({ kind: 'leave', channel, member });
  }

  /** Refuses what is read. */
  refuse(filter: string, code: CodeName): void {
    this.read.delete(filter);
    this.#sink?.onRefused(filter, new CodedError(code, 'by the test'));
  }

  #plan(filter: string): void {
    this.#due.add(filter);
    queueMicrotask(() => this.#due.delete(filter) && this.#ask(filter));
  }

  #ask(filter: string): void {
    if (!this.#isReady) return;
    const wish = this.#sink?.wish(filter);
    this.wishes.push(wish ?? filter);
    if (wish === undefined) {
      this.read.delete(filter);
      return;
    }
    this.read.add(filter);
    const position = wish.after ?? `e:${this.#offset}`;
    queueMicrotask(() => {
      if (this.forbidden.has(filter)) this.refuse(filter, 'forbidden');
      else this.#sink?.onOpen({ kind: 'open', channel: filter, position });
    });
  }

  #answer(ask: Ask): Promise<Frame> {
    this.asks.push(ask);
    return Promise.resolve({ fields: {} });
  }
}
