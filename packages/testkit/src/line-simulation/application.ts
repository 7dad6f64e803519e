/** Application: somebody who reads and publishes over one line, reloads the page and comes back. */
import { connect, longPoll, shortPoll, sse, websocket } from '@trunkline/client';
import type { Line, LadderMemory, Published, Transport } from '@trunkline/client';
import { isWildcard, parsePosition } from '@trunkline/wire';
import type { ManualClock } from '../manual-clock.ts';
import type { SeededRandom } from '../random.ts';
import { identityOf } from '../simulation/simulated-server.ts';
import type { SimulatedServer } from '../simulation/simulated-server.ts';
import { LISTED } from '../simulation/surroundings.ts';
import { DeviceClock } from './device-clock.ts';
import { LineReader } from './line-reader.ts';
import type { ReaderStart } from './line-reader.ts';
import type { LineRecorder } from './line-recorder.ts';
import { Network } from './network.ts';

/** Which transports an application may bring, the best first. */
const TRANSPORTS: readonly (readonly Transport[])[] = [
  [websocket, sse, longPoll, shortPoll],
  [websocket, sse, longPoll, shortPoll],
  [websocket, longPoll],
  [sse, shortPoll],
  [longPoll],
  [shortPoll],
];

/** Names and patterns of which no two match the same channel: each line reads those of one list. */
const APART: readonly (readonly string[])[] = [
  ['news', 'room/1', 'room/2', 'room/3', 'hall/x', 'room', 'room/now', 'now'],
  ['news', 'room/+', 'room', 'hall/+', 'now'],
  ['room/#', 'hall/x', 'hall/1', 'news', 'now'],
  ['#'],
  ['+/x', 'room/1', 'room/3', 'room/now', 'news', 'hall/1'],
];

/** And such that overlap in many ways. */
const OVERLAPPING = [...new Set(APART.flat())];

/** Listeners of one line. */
const READERS_MAX = 8;

/** A mistake that a test puts into the client, to see that it is noticed. */
export interface Tamper {
  readonly transport?: (transport: Transport) => Transport;
  readonly line?: (line: Line) => void;
}

/** What an application is made from. */
export interface ApplicationParts {
  readonly user: string;
  readonly clock: ManualClock;
  readonly random: SeededRandom;
  readonly recorder: LineRecorder;
  readonly server: () => SimulatedServer | undefined;
  readonly tamper: Tamper;
  /** True when it reads names and patterns that match the same channels, and patterns several times. */
  readonly overlaps: boolean;
  /** True when the disk refuses or does not answer: then what is sent again may be passed. */
  readonly hasDoubts: boolean;
}

/** What is said, and where. */
export interface Saying {
  readonly channel: string;
  readonly padding: number;
  readonly ttl?: number;
  readonly isVolatile?: boolean;
}

/** One user on one device. */
export class Application {
  readonly user: string;
  readonly network: Network;
  readonly transports: readonly Transport[];
  readonly #parts: ApplicationParts;
  readonly #clock: DeviceClock;
  readonly #memory: LadderMemory;
  readonly #filters: readonly string[];
  #line: Line;
  #name = '';
  #readers: LineReader[] = [];
  /** Publishes without an answer. */
  #waiting = 0;
  #isClosed = false;

  constructor(parts: ApplicationParts) {
    const { user, clock, random, recorder, server } = parts;
    this.user = user;
    this.#parts = parts;
    this.network = new Network({
      clock,
      random: random.fork(),
      identity: identityOf(user),
      server,
      onFailure: recorder.fail,
    });
    this.#clock = new DeviceClock(clock);
    this.transports = random.pick(TRANSPORTS);
    this.#filters = parts.overlaps ? OVERLAPPING : random.pick(APART);
    let remembered: string | null = null;
    this.#memory = { read: () => remembered, write: (text) => void (remembered = text) };
    this.#line = this.#newLine();
  }

  get line(): Line {
    return this.#line;
  }

  get readers(): readonly LineReader[] {
    return this.#readers;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Publishes that were neither acknowledged nor refused. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Timers of the client. */
  get timerCount(): number {
    return this.#clock.timerCount;
  }

  /** Begins to listen, by chance to what and from where. */
  listen(): void {
    const { random } = this.#parts;
    if (this.#readers.length >= READERS_MAX) return;
    const filter = random.pick(this.#filters);
    if (!this.#isWelcome(filter)) return;
    this.#listen({
      filter,
      ...random.pick<Partial<ReaderStart>>([{}, {}, { last: 3 }, { last: 50 }, { after: 'start' }]),
      ...(random.chance(0.3) && { partial: true }),
      ...(random.chance(0.15) && { echo: false }),
      ...(LISTED.includes(filter) && random.chance(0.6) && { presence: true }),
    });
  }

  /** One listener goes; another may go on where it stands. */
  relisten(): void {
    const { random } = this.#parts;
    if (this.#readers.length === 0) return;
    const reader = random.pick(this.#readers);
    if (random.chance(0.5)) this.#stop(reader);
    if (random.chance(0.7)) this.#goOn(reader);
  }

  /** The page is loaded anew: another line, whose listeners go on where those before stood. */
  reload(): void {
    const readers = this.#readers;
    for (const reader of readers) reader.stop();
    this.#readers = [];
    this.#line.close();
    this.#line = this.#newLine();
    for (const reader of readers) {
      if (this.#parts.random.chance(0.8)) this.#goOn(reader);
      else this.listen();
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#line.close();
  }

  open(): void {
    this.#isClosed = false;
    this.#line.open();
  }

  /** Ends for good. */
  end(): void {
    for (const reader of this.#readers) reader.stop();
    this.close();
  }

  /** Says something new. */
  publish({ channel, padding, ttl, isVolatile = false }: Saying): void {
    const { recorder, clock, hasDoubts } = this.#parts;
    const payload = recorder.name('payload-');
    const purges = recorder.purgesOf(channel);
    const begin = (): string => {
      const attempt = recorder.name('attempt-');
      recorder.record({
        kind: 'publish',
        attempt,
        connection: hasDoubts ? `${this.#name} ${payload}` : this.#name,
        user: this.user,
        channel,
        payload,
        ...(!isVolatile && { key: payload }),
        atMs: clock.monotonicMs(),
        unixMs: clock.unixMs(),
        ...(ttl !== undefined && { ttl }),
      });
      return attempt;
    };
    const first = begin();
    // A purge takes the keys with it: what was sent again may have been stored again.
    const attempt = (): string => {
      if (recorder.purgesOf(channel) !== purges) begin();
      return first;
    };
    this.#waiting += 1;
    const data = { id: payload, padding: 'x'.repeat(padding) };
    this.#line.publish(channel, data, { ...(ttl !== undefined && { ttl }) }).then(
      (published) => {
        this.#waiting -= 1;
        this.#onPublished(attempt(), published);
      },
      (error: unknown) => {
        this.#waiting -= 1;
        this.#onRefused(attempt(), error);
      },
    );
  }

  #onPublished(attempt: string, { position, volatile }: Published): void {
    const { recorder } = this.#parts;
    const parsed = parsePosition(position ?? '');
    if (volatile === true) recorder.record({ kind: 'passed', attempt });
    else if (parsed === undefined) recorder.fail(new Error(`${attempt} was stored nowhere`));
    else recorder.record({ kind: 'acknowledged', attempt, position: parsed });
  }

  #onRefused(attempt: string, error: unknown): void {
    const { recorder } = this.#parts;
    const { code = '', stored } = error as { readonly code?: string; readonly stored?: false };
    if (code === '') recorder.fail(error);
    const told = stored === false ? ({ stored } as const) : {};
    recorder.record({ kind: 'refused', attempt, code, ...told });
  }

  /** Another listener goes on where this one stands, or begins from now if it stands nowhere. */
  #goOn(reader: LineReader): void {
    const { place: after } = reader;
    if (!this.#isWelcome(reader.start.filter)) return;
    const { last: _last, after: _after, continues: _continues, ...start } = reader.start;
    const from = after === undefined ? {} : { after, continues: reader.name };
    this.#listen({ ...start, ...from });
  }

  #listen(start: ReaderStart): void {
    const { clock, random, recorder } = this.#parts;
    const parts = { line: this.#line, name: this.#name, recorder, random: random.fork(), clock };
    this.#readers.push(new LineReader(parts, start));
  }

  #isWelcome(filter: string): boolean {
    const isRead = this.#readers.some(({ start }) => start.filter === filter);
    return this.#parts.overlaps || !isWildcard(filter) || !isRead;
  }

  #stop(reader: LineReader): void {
    reader.stop();
    this.#readers = this.#readers.filter((other) => other !== reader);
  }

  #newLine(): Line {
    const { clock, random, recorder, tamper } = this.#parts;
    const chance = random.fork();
    this.#name = recorder.name('line-');
    const { transport = (one) => one } = tamper;
    const line = connect('https://rt.example.com', {
      ...this.network.platform,
      clock: this.#clock,
      random: () => chance.fraction(),
      unixMs: () => clock.unixMs(),
      memory: this.#memory,
      transports: this.transports.map(transport),
    });
    tamper.line?.(line);
    // Losses are heard by the readers; a reader that ends says so itself.
    line.on('error', recorder.fail);
    return line;
  }
}
