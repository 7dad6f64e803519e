/** Io for tests: everything is recorded, and signals are the test's to send. */
import type { Io } from '../../src/io.ts';
import { Stops } from '../../src/stops.ts';

export interface FakeIo extends Io {
  readonly out: string[];
  readonly err: string[];
  /** How often the process would have ended at once. */
  exits: number;
  /** What the clock of the signals says. */
  nowMs: number;
  outText(): string;
  errText(): string;
}

export interface FakeIoOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: AsyncIterable<Uint8Array> | string;
  readonly fetch?: typeof fetch;
}

/** Makes one; standard input is empty unless given. */
export function fakeIo(options: FakeIoOptions = {}): FakeIo {
  const out: string[] = [];
  const err: string[] = [];
  const { env = {}, stdin = '', fetch } = options;
  const io: FakeIo = {
    out,
    err,
    exits: 0,
    nowMs: 0,
    outText: () => out.join(''),
    errText: () => err.join(''),
    stdout: { write: (text) => void out.push(text), drained: () => Promise.resolve() },
    stderr: { write: (text) => void err.push(text), drained: () => Promise.resolve() },
    stdin: typeof stdin === 'string' ? chunks(stdin) : stdin,
    env,
    colour: false,
    stops: new Stops(
      () => io.nowMs,
      () => (io.exits += 1),
    ),
    ...(fetch === undefined ? {} : { fetch }),
  };
  return io;
}

/** Text as a stream of bytes, cut after every `size` bytes. */
export async function* chunks(text: string, size = 7): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let start = 0; start < bytes.length; start += size)
    yield bytes.subarray(start, start + size);
}
