/** ClientProcess: a client as a process, which tells what happens to it in lines. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { Queue, within } from '../queue.ts';
import type { MqttReader, Received } from './client.ts';

/** So long at most a process lives, whatever happens to its test. */
const LIFE_MS_MAX = 300_000;

/** Characters of what it said last that an error repeats. */
const SAID_LENGTH_MAX = 1_000;

/** How a program is started, and where it comes from. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** The Debian package that it is in, for who lacks it. */
  readonly origin: string;
  /** What it reads from its standard input. */
  readonly input?: string | Uint8Array;
}

/** What a line of its output means. */
export type Line =
  | { readonly kind: 'ready' }
  | { readonly kind: 'received'; readonly received: Received }
  | { readonly kind: 'said' };

/** One client while it runs. */
export class ClientProcess implements MqttReader {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #received = new Queue<Received>('a message to an MQTT client');
  readonly #ready = Promise.withResolvers<void>();
  readonly #leave: (child: ChildProcess) => void;
  #said = '';

  private constructor(
    { command, args, origin, input }: Program,
    parse: (line: string) => Line,
    leave: (child: ChildProcess) => void,
  ) {
    this.#leave = leave;
    const child = spawn(command, args, { timeout: LIFE_MS_MAX, killSignal: 'SIGKILL' });
    this.#child = child;
    const gone = Promise.withResolvers<void>();
    this.#gone = gone.promise;
    const of = `(Debian: ${origin})`;
    child.on('error', ({ message }) => {
      this.#end(`${message} ${of}`);
      gone.resolve();
    });
    child.on('close', (code, signal) => {
      this.#end(`${command} ${of} ended with ${code ?? signal ?? 'nothing'}: ${this.#said}`);
      gone.resolve();
    });
    child.stdin.on('error', () => {}); // It has ended; 'close' follows.
    if (input !== undefined) child.stdin.end(input);
    child.stderr.on('data', (piece: Buffer) => this.#hear(piece.toString()));
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(parse(line), line));
    // Whoever waits for it hears of its end by `run`, too.
    this.#ready.promise.catch(() => {});
  }

  /** Starts a reader. Resolves when it has subscribed. */
  static async read(
    program: Program,
    parse: (line: string) => Line,
    leave: (child: ChildProcess) => void,
  ): Promise<ClientProcess> {
    const reader = new ClientProcess(program, parse, leave);
    try {
      await within(reader.#ready.promise, 'the subscription of an MQTT client');
    } catch (error) {
      await reader.kill();
      throw error;
    }
    return reader;
  }

  /** Runs to the end. @throws when that is not a good one. */
  static async run(program: Program): Promise<void> {
    const one = new ClientProcess(
      program,
      () => ({ kind: 'said' }),
      () => {},
    );
    try {
      await within(one.#gone, 'the end of an MQTT client');
    } finally {
      await one.kill();
    }
    if (one.#child.exitCode !== 0) await one.#ready.promise;
  }

  next(): Promise<Received> {
    return this.#received.next();
  }

  async leave(): Promise<void> {
    this.#leave(this.#child);
    await within(this.#gone, 'the end of an MQTT client');
  }

  async kill(): Promise<void> {
    if (this.#child.pid !== undefined && !this.#hasEnded) this.#child.kill('SIGKILL');
    await this.#gone;
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #take(line: Line, text: string): void {
    if (line.kind === 'ready') this.#ready.resolve();
    else if (line.kind === 'received') this.#received.push(line.received);
    else this.#hear(`${text}\n`);
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-SAID_LENGTH_MAX);
  }

  #end(why: string): void {
    const error = new Error(why);
    this.#ready.reject(error);
    this.#received.end(error);
  }
}
