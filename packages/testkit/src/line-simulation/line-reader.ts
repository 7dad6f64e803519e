/** LineReader: a listener of one name or pattern, which may be slow and remembers where it stands. */
import type { Channel, ChannelOptions, Line } from '@trunkline/client';
import { parsePosition } from '@trunkline/wire';
import type { Gap, Position } from '@trunkline/wire';
import type { ManualClock } from '../manual-clock.ts';
import type { SeededRandom } from '../random.ts';
import { payloadId } from '../simulation/publication.ts';
import type {
  BeginsEvent,
  EndsEvent,
  HearsEvent,
  MissesEvent,
  ReachesEvent,
  ReadingEvent,
} from './line-history.ts';
import type { LineRecorder } from './line-recorder.ts';

/** The longest that a slow listener takes for one message. */
const SLOW_MS_MAX = 400;

type Unnamed<T> = T extends ReadingEvent ? Omit<T, 'step' | 'reader'> : never;

/** What a listener is told. */
type Told = Unnamed<BeginsEvent | HearsEvent | MissesEvent | ReachesEvent | EndsEvent>;

/** Where and how a listener begins. */
export interface ReaderStart
  extends Pick<ChannelOptions<unknown>, 'after' | 'last' | 'partial' | 'presence' | 'echo'> {
  readonly filter: string;
  /** The reader from whom it has `after`. */
  readonly continues?: string;
}

/** What a reader is made from. */
export interface ReaderParts {
  readonly line: Line;
  /** The name of the line, for the history. */
  readonly name: string;
  readonly recorder: LineRecorder;
  readonly random: SeededRandom;
  readonly clock: ManualClock;
}

/** One listener, from its beginning until it is stopped. */
export class LineReader {
  readonly name: string;
  readonly start: ReaderStart;
  readonly channel: Channel;
  readonly #parts: ReaderParts;
  readonly #stop: () => void;
  #isOver = false;
  /** The last place that it was told it may go on from. */
  #place: string | undefined;
  #toldGap: Gap | undefined;
  #isSlow = false;
  #isStuck = false;
  #free: (() => void) | undefined;

  constructor(parts: ReaderParts, start: ReaderStart) {
    const { line, recorder } = parts;
    const { filter, continues, ...options } = start;
    this.#parts = parts;
    this.start = start;
    this.name = recorder.name('reader-');
    this.channel = line.channel(filter, options);
    const { after, last, echo = true } = start;
    this.#place = after;
    recorder.record({
      kind: 'listens',
      reader: this.name,
      line: parts.name,
      filter,
      echo,
      ...(after !== undefined && { after }),
      ...(last !== undefined && { last }),
      ...(continues !== undefined && { continues }),
    });
    this.#stop = this.channel.subscribe({
      onMessage: (message) => {
        const { channel, epoch, offset, data } = message;
        const position =
          epoch === undefined || offset === undefined ? undefined : { epoch, offset };
        this.#tell({
          kind: 'hears',
          channel,
          payload: payloadId(data),
          unixMs: parts.clock.unixMs(),
          ...(position !== undefined && { position }),
        });
        if (filter === channel && position !== undefined) this.#place = `${epoch}:${offset}`;
        return this.#room();
      },
      onOpen: ({ position, mark, recovered, gap }) => {
        this.#tell({
          kind: 'begins',
          heads: recorder.headsOf(filter),
          ...(position !== undefined && { position: parsed(position) }),
          ...(mark !== undefined && { mark }),
          ...(recovered !== undefined && { recovered }),
          ...(gap !== undefined && { gap }),
        });
        this.#toldGap = gap;
        if (gap !== undefined) this.#place = position ?? mark;
        else this.#place ??= position ?? mark;
      },
      onGap: ({ channel, gap, position }) => {
        // What an opening lost is told with it, and once more.
        if (gap === this.#toldGap) return;
        this.#tell({ kind: 'misses', channel, gap, position: parsed(position) });
        if (filter === channel) this.#place = position;
      },
      onMark: (mark) => {
        this.#tell({ kind: 'reaches', mark });
        this.#place = mark;
      },
      onEnd: (error) => {
        this.#tell({ kind: 'ends', reason: String(error) });
        this.#isOver = true;
      },
    });
  }

  /** Where the next one may go on. */
  get place(): string | undefined {
    return this.#place;
  }

  /** From now on it takes its time for each message, or no longer. */
  setSlow(isSlow: boolean): void {
    this.#isSlow = isSlow;
  }

  /** From now on it takes no other message, until it is freed. */
  stick(): void {
    this.#isStuck = true;
  }

  free(): void {
    this.#isStuck = false;
    this.#free?.();
    this.#free = undefined;
  }

  stop(): void {
    this.#stop();
    this.free();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#parts.recorder.record({ kind: 'stops', reader: this.name });
  }

  #room(): void | Promise<void> {
    const { clock, random } = this.#parts;
    if (this.#isStuck) return new Promise((resolve) => (this.#free = resolve));
    if (!this.#isSlow || random.chance(0.5)) return undefined;
    return new Promise((resolve) => void clock.after(random.integer(SLOW_MS_MAX), resolve));
  }

  #tell(told: Told): void {
    const { recorder } = this.#parts;
    if (this.#isOver) recorder.fail(new Error(`${this.name} ${told.kind} after its end`));
    recorder.record({ ...told, reader: this.name });
  }
}

function parsed(text: string): Position {
  const position = parsePosition(text);
  if (position === undefined) throw new Error(`expected a position, got ${text}`);
  return position;
}
