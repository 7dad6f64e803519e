/**
 * A model of all that can happen to publishes, out of a seed: a log with keys, connections that
 * drop, answers that come late, in another order or twice, refusals, and time that passes.
 *
 * 1. The server reads what is sent in the order of its connection, some time later, after a loss as
 *    well; or it never reads that, nor anything behind it on that connection.
 * 2. It stores it or refuses it, and the answer reaches the client or does not.
 * 3. In the end all is sound and everything must settle; then the log is compared with what the
 *    outbox promised.
 */
import { CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import type { Frame } from '../../src/encodings/encoding.ts';
import { Outbox } from '../../src/publishing/outbox.ts';
import { UncertainError } from '../../src/publishing/published.ts';
import type { Published } from '../../src/publishing/published.ts';
import { toMembers } from '../../src/publishing/outgoing.ts';
import type { Ask, Attempt } from '../../src/transports/transport.ts';

const KEY_WINDOW_MS = 60_000;
/** Nothing is under way for longer: its attempt ends. */
const ANSWER_MS_MAX = 3000;
const CHANNELS = ['a', 'b', 'c'];
const TEMPORARY: readonly CodeName[] = ['rate_limited', 'unavailable', 'internal', 'draining'];

/** What may go wrong. */
export interface Faults {
  readonly losses: boolean;
  readonly refusals: boolean;
}

/** What a run was like, to see that it was worth something. */
export interface ModelCounts {
  stored: number;
  uncertain: number;
  refused: number;
  aborted: number;
  late: number;
}

/** A publish of the application and what it was told of it. */
interface Told {
  readonly id: number;
  readonly channel: string;
  readonly aborter: AbortController;
  result?: Published | Error;
  /** Of an earlier sending the client knows nothing. */
  isInDoubt: boolean;
  /** It was not stored when it was first read, and the client could not know. */
  mayBeLate: boolean;
}

interface Sending {
  readonly told: Told;
  readonly key: string;
  readonly sentMs: number;
  readonly resolve: (frame: Frame) => void;
  readonly reject: (error: Error) => void;
}

/** One connection: what is under way on it, and the client's end. */
class Connection implements Attempt {
  /** On the way to the server. */
  readonly up: Sending[] = [];
  /** Answers on their way back. */
  readonly down: (() => void)[] = [];
  /** Without an answer. */
  readonly open = new Set<Sending>();
  isLost = false;
  readonly #model: Model;

  constructor(model: Model) {
    this.#model = model;
  }

  request(ask: Ask): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (ask.kind !== 'publish') throw new Error(`expected a publish, got ${ask.kind}`);
      if (this.isLost) throw new CodedError('unavailable', 'it is over', { stored: false });
      const { data, key } = JSON.parse(`{${ask.members}}`) as { data: number; key: string };
      const { told, clock } = this.#model;
      const sentMs = clock.monotonicMs();
      const sending = { told: told[data] as Told, key, sentMs, resolve, reject };
      this.up.push(sending);
      this.open.add(sending);
    });
  }

  answer(sending: Sending, settle: () => void): void {
    this.down.push(() => {
      this.open.delete(sending);
      settle();
    });
  }

  close(): void {
    this.isLost = true;
    this.down.length = 0;
    const error = new CodedError('unavailable', 'no answer came', { stored: 'unknown' });
    for (const { reject } of this.open) reject(error);
  }

  send(): void {}
  revise(): void {}
  renew(): void {}
  probe(): void {}
}

/** One run. */
export class Model {
  readonly clock = new ManualClock();
  readonly told: Told[] = [];
  readonly #random: SeededRandom;
  readonly #faults: Faults;
  readonly #outbox: Outbox;
  readonly #logs = new Map(CHANNELS.map((channel) => [channel, [] as number[]]));
  /** By channel and key: what it stands for, and until when it is known. */
  readonly #keys = new Map<string, { id: number; offset: number; untilMs: number }>();
  #connection: Connection | undefined;
  /** Of these the server may not have read everything. */
  #lost: Connection[] = [];
  /** False at the end, when all goes well. */
  #isFaulty = true;

  constructor(seed: number, faults: Faults) {
    this.#random = seededRandom(seed);
    this.#faults = faults;
    const random = this.#random.fork();
    this.#outbox = new Outbox({
      clock: this.clock,
      random: () => random.fraction(),
      unixMs: () => this.clock.unixMs(),
    });
  }

  /** @throws {Error} that says which promise was broken. */
  async run(steps: number): Promise<ModelCounts> {
    this.#connect();
    for (let step = 0; step < steps; step += 1) {
      this.#step();
      await this.clock.settle();
    }
    await this.#heal();
    return this.#check();
  }

  #step(): void {
    const random = this.#random;
    const [oldest] = this.#connection?.open ?? [];
    const nowMs = this.clock.monotonicMs();
    if (oldest !== undefined && nowMs - oldest.sentMs > ANSWER_MS_MAX) this.#lose();
    const dice = random.integer(100);
    if (dice < 20) this.#publish();
    else if (dice < 50) this.#read(this.#connection);
    else if (dice < 75) this.#deliver();
    else if (dice < 79) this.#connect();
    else if (dice < 82) this.#lose();
    else if (dice < 83) this.#replace();
    else if (dice < 88) this.#read(random.pick([undefined, ...this.#lost]));
    else if (dice < 90) this.told[random.integer(this.told.length + 1)]?.aborter.abort('given up');
    else if (dice < 99) this.clock.advance(random.integer(200));
    else if (random.chance(0.4)) this.#passLong();
  }

  #publish(): void {
    const channel = this.#random.pick(CHANNELS);
    const id = this.told.length;
    const aborter = new AbortController();
    const told: Told = { id, channel, aborter, isInDoubt: false, mayBeLate: false };
    this.told.push(told);
    this.#outbox.publish(channel, toMembers(channel, id), { signal: aborter.signal }).then(
      (result) => (told.result = result),
      (error: unknown) => (told.result = error instanceof Error ? error : new Error(String(error))),
    );
  }

  #connect(): void {
    if (this.#connection !== undefined) return;
    this.#connection = new Connection(this);
    this.#outbox.onReady(this.#connection, { keyWindowMs: KEY_WINDOW_MS });
  }

  #lose(): void {
    const lost = this.#part();
    if (lost === undefined) return;
    this.#outbox.onLost();
    lost.close();
  }

  /** A better transport takes over. */
  #replace(): void {
    const lost = this.#part();
    if (lost === undefined) return;
    lost.close();
    this.#connect();
  }

  /** Ends the connection. Of what is under way the server will read a first part. */
  #part(): Connection | undefined {
    const connection = this.#connection;
    if (connection === undefined || !this.#faults.losses) return undefined;
    this.#connection = undefined;
    const { open, up } = connection;
    for (const sending of open) {
      const { told } = sending;
      told.isInDoubt = true;
      if (!up.includes(sending)) this.#excuse(told);
    }
    up.length = this.#random.integer(up.length + 1);
    this.#lost.push(connection);
    return connection;
  }

  /** It was read, and the client does not learn what became of it. */
  #excuse(told: Told): void {
    if (!this.#log(told.channel).includes(told.id)) told.mayBeLate = true;
  }

  /** The server reads one publish of a connection. */
  #read(connection: Connection | undefined): void {
    const sending = connection?.up.shift();
    if (connection === undefined || sending === undefined) return;
    const { told } = sending;
    const isFaulty = this.#isFaulty && this.#faults.refusals;
    const dice = isFaulty ? this.#random.integer(100) : 0;
    if (dice < 70) this.#store(connection, sending, true);
    else if (dice < 90) this.#refuse(connection, sending, false);
    else if (dice < 97) {
      if (dice < 94) this.#store(connection, sending, false);
      told.isInDoubt = true;
      this.#refuse(connection, sending, 'unknown');
    } else {
      const error = new CodedError('forbidden', 'not allowed', { stored: false });
      connection.answer(sending, () => sending.reject(error));
    }
    if (told.isInDoubt) this.#excuse(told);
  }

  #store(connection: Connection, sending: Sending, isAnswered: boolean): void {
    const { channel, id } = sending.told;
    const nowMs = this.clock.unixMs();
    const name = `${channel} ${sending.key}`;
    let known = this.#keys.get(name);
    if (known === undefined || known.untilMs <= nowMs) {
      known = { id, offset: this.#log(channel).push(id), untilMs: nowMs + KEY_WINDOW_MS };
      this.#keys.set(name, known);
    }
    if (known.id !== id) throw new Error(`one key for ${known.id} and ${id}`);
    const { offset } = known;
    const fields = { channel, offset, epoch: 'e', position: `e:${offset}` };
    if (isAnswered) connection.answer(sending, () => sending.resolve({ fields }));
  }

  #refuse(connection: Connection, sending: Sending, stored: false | 'unknown'): void {
    const random = this.#random;
    const details = random.chance(0.5) ? { stored } : { stored, retryAfter: 300 };
    const error = new CodedError(random.pick(TEMPORARY), 'not now', details);
    connection.answer(sending, () => sending.reject(error));
  }

  /** One of the answers under way comes, now and then twice. */
  #deliver(): void {
    const down = this.#connection?.down ?? [];
    if (down.length === 0) return;
    const [answer] = down.splice(this.#random.integer(down.length), 1);
    answer?.();
    if (this.#random.chance(0.1)) answer?.();
  }

  /** Keys are forgotten; perhaps the machine sleeps meanwhile. Nothing is under way for so long. */
  #passLong(): void {
    if (!this.#faults.losses) return;
    this.#lose();
    this.#readLost();
    const ms = this.#random.integer(KEY_WINDOW_MS * 1.5);
    if (this.#random.chance(0.5)) this.clock.stepUnix(ms);
    else this.clock.advance(ms);
  }

  #readLost(): void {
    for (const lost of this.#lost) while (lost.up.length > 0) this.#read(lost);
    this.#lost = [];
  }

  async #heal(): Promise<void> {
    this.#readLost();
    this.#isFaulty = false;
    this.#connect();
    for (let turn = 0; turn < 10_000 && this.#outbox.waiting > 0; turn += 1) {
      while ((this.#connection?.up.length ?? 0) > 0) this.#read(this.#connection);
      while ((this.#connection?.down.length ?? 0) > 0) this.#deliver();
      await this.clock.pass(100);
    }
  }

  #check(): ModelCounts {
    const counts: ModelCounts = { stored: 0, uncertain: 0, refused: 0, aborted: 0, late: 0 };
    if (this.#outbox.waiting > 0) throw new Error(`${this.#outbox.waiting} publishes are left`);
    if (this.clock.timerCount > 0) throw new Error('a timer is left');
    for (const told of this.told) {
      counts[this.#kindOf(told)] += 1;
      if (told.mayBeLate) counts.late += 1;
    }
    for (const [channel, log] of this.#logs) {
      // What was not acknowledged, or could not be known to be refused, has no place.
      const placed = log.filter((id) => {
        const { result, mayBeLate } = this.told[id] as Told;
        return !(result instanceof Error) && !mayBeLate;
      });
      const sorted = placed.toSorted((one, other) => one - other);
      if (String(placed) !== String(sorted))
        throw new Error(`order of ${channel}: ${placed.join()}`);
    }
    return counts;
  }

  #kindOf({ id, channel, result }: Told): keyof ModelCounts {
    const log = this.#log(channel);
    const times = log.filter((one) => one === id).length;
    const expect = (holds: boolean, what: string) => {
      if (!holds) throw new Error(`${id} is ${times} times in the log of ${channel}, but ${what}`);
    };
    expect(times < 2, 'it was published once');
    if (result === undefined) throw new Error(`the promise of ${id} is left`);
    if (!(result instanceof Error)) {
      expect(log[(result.offset ?? 0) - 1] === id, `it was acknowledged as ${result.position}`);
      return 'stored';
    }
    if (result instanceof UncertainError) return 'uncertain';
    if (result instanceof CodedError) {
      expect(times === 0 || result.stored !== false, 'it was told not to be stored');
      return 'refused';
    }
    if (result.message !== 'given up') throw result;
    expect(times === 0, 'it was given up before');
    return 'aborted';
  }

  #log(channel: string): number[] {
    const log = this.#logs.get(channel);
    if (log === undefined) throw new Error(`expected one of ${CHANNELS.join()}, got ${channel}`);
    return log;
  }
}
