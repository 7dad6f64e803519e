/**
 * SqliteThread: one thread of the log as seen from the event loop. When it dies, what it was asked
 * fails, and it is started again after a growing pause.
 */
import { Worker } from 'node:worker_threads';
import { BrokerError } from '../../broker/broker.ts';
import type { Clock, Timer } from '../../clock.ts';
import type { Log } from '../../observe/log.ts';
import type {
  Answer,
  AnswerGroup,
  AnswerTo,
  Call,
  CallGroup,
  ThreadRole,
  ThreadSetup,
} from './sqlite-calls.ts';
import type { LogIdentity } from './store.ts';

/** The pause before a dead thread is started again; it doubles up to the second. */
const RESTART_MIN_MS = 50;
const RESTART_MAX_MS = 5000;

// The entry is TypeScript in the repository and JavaScript in a package, as this file is.
const ENTRY = new URL(`./sqlite-worker${import.meta.url.slice(-3)}`, import.meta.url);

/** What a thread has to be given. */
export interface SqliteThreadOptions {
  readonly role: ThreadRole;
  readonly setup: ThreadSetup;
  readonly clock: Clock;
  readonly log: Log;
}

interface Waiting {
  readonly onAnswers: (answers: readonly Answer[]) => void;
  readonly onLost: (error: BrokerError) => void;
}

export class SqliteThread {
  readonly #options: SqliteThreadOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  /** True from the answer to `open` or `attach` until the thread ends. */
  #ready = false;
  #closing = false;
  #lastId = 0;
  #restartMs = RESTART_MIN_MS;
  #restart: Timer | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(options: SqliteThreadOptions) {
    this.#options = options;
  }

  /** Starts the thread, which then waits to be told what to open. */
  spawn(): void {
    const { role, setup } = this.#options;
    const worker = new Worker(ENTRY, {
      workerData: setup,
      name: `log ${role}`,
      execArgv: [], // Flags of the process, e.g. a loader of its tests, are not for this thread.
    });
    let cause: unknown;
    worker.on('message', ({ id, answers }: AnswerGroup) => {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      waiting?.onAnswers(answers);
    });
    worker.on('error', (error) => {
      cause = error;
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        resolve(undefined);
        this.#onExit(cause);
      });
    });
    this.#worker = worker;
  }

  /** Opens the log. A writer begins a new run, any other joins the one that has begun. */
  async open(): Promise<LogIdentity> {
    const { role } = this.#options;
    const identity = await this.#ask(role === 'writer' ? { name: 'open' } : attachCall(role));
    this.#ready = true;
    return identity;
  }

  /** Asks for one thing. */
  async call<C extends Call>(call: C, transfer: readonly ArrayBuffer[] = []): Promise<AnswerTo<C>> {
    this.#requireReady();
    return this.#ask(call, transfer);
  }

  /** Asks for several things at once; each has its own answer. Rejects when all are lost. */
  async callAll(calls: readonly Call[]): Promise<readonly Answer[]> {
    this.#requireReady();
    return this.#send(calls, []);
  }

  /** Ends the thread at once, as if it had died: another one takes its place. */
  abandon(): void {
    void this.#worker?.terminate(); // Its end is seen in `exit`.
  }

  /** Ends the thread for good. What was asked before is answered first. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#restart?.cancel();
    try {
      if (this.#ready) await this.#ask({ name: 'close' });
    } finally {
      this.#ready = false;
      await this.#worker?.terminate();
      await this.#ended;
    }
  }

  #requireReady(): void {
    if (this.#ready) return;
    throw new BrokerError('unavailable', 'the log is being opened again: try later');
  }

  async #ask<C extends Call>(call: C, transfer: readonly ArrayBuffer[] = []): Promise<AnswerTo<C>> {
    const [answer] = await this.#send([call], transfer);
    return valueOf(answer) as AnswerTo<C>;
  }

  #send(calls: readonly Call[], transfer: readonly ArrayBuffer[]): Promise<readonly Answer[]> {
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      const group: CallGroup = { id: this.#lastId, calls };
      this.#waiting.set(group.id, { onAnswers: resolve, onLost: reject });
      this.#worker?.postMessage(group, [...transfer]);
    });
  }

  #onExit(cause: unknown): void {
    const { role, clock, log } = this.#options;
    const wasReady = this.#ready;
    this.#ready = false;
    this.#worker = undefined;
    const lost = [...this.#waiting.values()];
    this.#waiting.clear();
    const error = new BrokerError('unavailable', `the log's ${role} thread ended: try later`, {
      stored: 'unknown',
      cause,
    });
    for (const { onLost } of lost) onLost(error);
    if (this.#closing || !(wasReady || this.#restart !== undefined)) return;
    log.error({ role, error: cause, againInMs: this.#restartMs }, 'a thread of the log ended');
    this.#restart = clock.after(this.#restartMs, () => void this.#startAgain());
    this.#restartMs = Math.min(this.#restartMs * 2, RESTART_MAX_MS);
  }

  async #startAgain(): Promise<void> {
    const { role, log } = this.#options;
    this.spawn();
    try {
      await this.#ask(attachCall(role));
      this.#ready = true;
      this.#restartMs = RESTART_MIN_MS;
      log.info({ role }, 'a thread of the log was started again');
    } catch (error) {
      log.error({ role, error }, "a thread of the log can't be started");
      this.abandon();
    }
  }
}

function attachCall(role: ThreadRole) {
  return { name: 'attach', role } as const;
}

/** The value of an answer. @throws {BrokerError} when there is none. */
export function valueOf(answer: Answer | undefined): unknown {
  if (answer === undefined) throw new BrokerError('unavailable', 'the log gave no answer');
  if (answer.ok) return answer.value;
  throw new BrokerError(answer.kind, answer.message, { stored: answer.stored });
}
