/**
 * GroupedCalls: what many ask of a thread while it is busy is sent as one group when it is free.
 * At most one group is under way, so a thread has never more to do than one group.
 */
import { BrokerError } from '../../broker/broker.ts';
import type { Answer, AnswerTo, Call } from './sqlite-calls.ts';
import { valueOf } from './sqlite-thread.ts';
import type { SqliteThread } from './sqlite-thread.ts';
import { STATE_PAGE_SIZE_MAX, STATE_VALUE_SIZE_MAX } from './store.ts';

/** Calls in one group: the thread does nothing else meanwhile. */
const GROUP_COUNT_MAX = 64;
/** Bytes that the answers to one group may have together; a single answer may be larger. */
const GROUP_SIZE_MAX = 8 * 1024 * 1024;

interface Waiting {
  readonly call: Call;
  readonly onAnswer: (answer: Answer | undefined) => void;
  readonly onError: (error: unknown) => void;
}

export class GroupedCalls {
  readonly #thread: Pick<SqliteThread, 'callAll'>;
  readonly #waitingMax: number;
  #waiting: Waiting[] = [];
  /** Those that wait and those under way. */
  #count = 0;
  #busy = false;

  constructor(thread: Pick<SqliteThread, 'callAll'>, waitingMax: number) {
    this.#thread = thread;
    this.#waitingMax = waitingMax;
  }

  /** Asks for one thing. @throws {BrokerError} when there is no answer. */
  async call<C extends Call>(call: C): Promise<AnswerTo<C>> {
    if (this.#count >= this.#waitingMax) {
      throw new BrokerError('unavailable', `more than ${this.#waitingMax} reads wait: try later`);
    }
    const answer = await new Promise<Answer | undefined>((onAnswer, onError) => {
      this.#count += 1;
      this.#waiting.push({ call, onAnswer, onError });
      if (!this.#busy) void this.#run();
    });
    return valueOf(answer) as AnswerTo<C>;
  }

  /** Never rejects: what fails fails the calls of its group. */
  async #run(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      const all = this.#waiting;
      this.#waiting = [];
      for (let start = 0; start < all.length; ) {
        const end = groupEnd(all, start);
        await this.#runGroup(all.slice(start, end));
        start = end;
      }
    }
    this.#busy = false;
  }

  async #runGroup(group: readonly Waiting[]): Promise<void> {
    try {
      const answers = await this.#thread.callAll(group.map(({ call }) => call));
      for (const [index, { onAnswer }] of group.entries()) onAnswer(answers[index]);
    } catch (error) {
      for (const { onError } of group) onError(error);
    } finally {
      this.#count -= group.length;
    }
  }
}

/** Where the group ends that begins at `start`. */
function groupEnd(waiting: readonly Waiting[], start: number): number {
  let size = 0;
  let end = start;
  for (const { call } of waiting.slice(start, start + GROUP_COUNT_MAX)) {
    size += answerSizeMax(call);
    if (size > GROUP_SIZE_MAX && end > start) break;
    end += 1;
  }
  return end;
}

function answerSizeMax(call: Call): number {
  if (call.name === 'read') return call.range.countMax > 0 ? call.range.sizeMax : 0;
  if (call.name === 'get') return STATE_VALUE_SIZE_MAX;
  return call.name === 'list' ? STATE_PAGE_SIZE_MAX : 0;
}
