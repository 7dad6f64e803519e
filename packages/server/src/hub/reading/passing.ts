/**
 * Passing: messages of volatile channels that came while a poll waited. There are at most as many
 * as its answer may have: of more than that the newest of each slot [VOL-3].
 */
import type { Message } from '@trunkline/wire';
import type { Run } from '../hub-types.ts';
import type { MessageBatch } from '../message-batch.ts';
import { Slots } from '../volatile/slots.ts';
import { withoutExpired } from './expiry.ts';

/** What passed by. */
export class Passing {
  readonly #countMax: number;
  #runs: Run[] = [];
  #count = 0;
  #slots: Slots | undefined;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** True when nothing came. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Keeps what came. */
  add(batch: MessageBatch): void {
    const { channel, messages } = batch;
    this.#count += messages.length;
    if (this.#slots === undefined && this.#count <= this.#countMax) {
      this.#runs.push({ channel, epoch: '', messages });
      return;
    }
    this.#slots ??= toSlots(this.#runs);
    this.#runs = [];
    for (const message of messages) this.#slots.put(channel, message);
  }

  /** Takes what came, the oldest first; of more than `countMax` the newest of each slot. */
  take(countMax: number, nowMs: number): readonly Run[] {
    const runs = this.#runs;
    const slots = this.#slots ?? (this.#count > countMax ? toSlots(runs) : undefined);
    this.#runs = [];
    this.#slots = undefined;
    this.#count = 0;
    const found = slots === undefined ? runs : fromSlots(slots, countMax);
    return found
      .map((run) => ({ ...run, messages: withoutExpired(run.messages, nowMs) }))
      .filter(({ messages }) => messages.length > 0);
  }
}

function toSlots(runs: readonly Run[]): Slots {
  const slots = new Slots();
  for (const { channel, messages } of runs) {
    for (const message of messages) slots.put(channel, message);
  }
  return slots;
}

function fromSlots(slots: Slots, countMax: number): Run[] {
  const runs: { channel: string; epoch: string; messages: Message[] }[] = [];
  const newest = countMax === 0 ? [] : slots.after(0).slice(-countMax);
  for (const { channel, message } of newest) {
    const last = runs.at(-1);
    if (last?.channel === channel) last.messages.push(message);
    else runs.push({ channel, epoch: '', messages: [message] });
  }
  return runs;
}
