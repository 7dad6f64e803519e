/**
 * Fuzzing the binary encoding, both ways:
 *
 * 1. What is written is read the same: commands, messages and pages out of a seed.
 * 2. Damaged frames and noise give commands, records or a `CodedError`, and nothing else.
 */
import assert from 'node:assert/strict';
import {
  CodedError,
  decodeBinaryCommands,
  decodeServerRecords,
  encodeBinaryCommand,
  encodeJsonRecord,
  encodePage,
  encodeRuns,
} from '../../src/index.ts';
import type { ChannelMessage, FrameRun, Message, ServerRecord } from '../../src/index.ts';
import type { PublishCommand } from '../../src/binary-publish.ts';
import { joined } from '../support/binary.ts';
import { Seeded } from '../support/seeded.ts';
import { jsonValue } from './json-text.ts';
import { checkPublish } from './wire.fuzz.ts';

const TEXTS = ['a', 'room/42', 'ä/日/😀', '@alice', 'x'.repeat(255), '__proto__'];
const TYPES = ['text/plain', 'image/png', 'application/octet-stream'];
const EVENTS = ['moved', 'größer', 'e'.repeat(128)];
const SESSIONS = ['s1', 'x7Jq2mPb91sLw0Zk'];
const encoder = new TextEncoder();

/** Commands: written and read the same, several in a frame; damaged ones are refused at most. */
export function fuzzBinaryCommands(seed: number, rounds: number): void {
  const random = new Seeded(seed);
  for (let round = 0; round < rounds; round += 1) {
    const commands = Array.from({ length: random.below(4) }, () => publishCommand(random));
    const frame = joined(commands.map((command) => encodeBinaryCommand(command)));
    const decoded = decodeBinaryCommands(frame);
    assert.deepEqual(
      decoded,
      commands.map((command) => ({ ok: true, command })),
    );
    for (const one of decodeBinaryCommands(damagedBytes(random, frame))) {
      if (!one.ok) assert(one.error instanceof CodedError);
      else if (one.command.type === 'publish') checkPublish(one.command);
    }
  }
}

/** Frames of a server: written and read the same; damaged ones are refused at most. */
export function fuzzBinaryFrames(seed: number, rounds: number): void {
  const random = new Seeded(seed);
  for (let round = 0; round < rounds; round += 1) {
    const runs = Array.from({ length: 1 + random.below(3) }, () => messageRun(random));
    const mark = random.once(3) ? '~m' : undefined;
    const json = `{"n":${jsonValue(random)}}`;
    const page = encodePage(
      json,
      runs.map((run) => encodeRuns([run])),
    );
    const frame = joined([encodeRuns(runs, mark), encodeJsonRecord(json), page]);
    assert.deepEqual(decodeServerRecords(frame), [
      ...runs.map((run, index) => toRecord(run, index === runs.length - 1 ? mark : undefined)),
      { kind: 'json', json },
      { kind: 'page', json, messages: runs.flatMap((run) => toMessages(run, undefined)) },
    ]);
    try {
      decodeServerRecords(damagedBytes(random, frame));
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
    }
  }
}

function publishCommand(random: Seeded): PublishCommand {
  const contentType = random.once(2) ? random.pick(TYPES) : undefined;
  const payload = contentType === undefined ? encoder.encode(jsonValue(random)) : noise(random);
  return {
    type: 'publish',
    channel: random.pick(TEXTS),
    payload,
    ...(contentType === undefined ? {} : { contentType }),
    ...(random.once(2) ? { event: random.pick(EVENTS) } : {}),
    ...(random.once(2) ? { key: random.pick(EVENTS) } : {}),
    ...(random.once(3) ? { slot: random.pick(['', 'pen']) } : {}),
    ...(random.once(3) ? { ttl: 1 + random.below(2 ** 31) } : {}),
    ...(random.once(3) ? { retain: true } : {}),
    ...(random.once(2) ? { id: number(random) } : {}),
  };
}

function messageRun(random: Seeded): FrameRun {
  const epoch = random.once(4) ? '' : random.pick(['e', 'k3f9x2ab']);
  const first = number(random, 2 ** 52);
  const messages = Array.from({ length: 1 + random.below(5) }, (_, index): Message => {
    const contentType = random.once(2) ? random.pick(TYPES) : undefined;
    const session = random.pick(SESSIONS);
    return {
      offset: first + index,
      time: number(random, 2 ** 51),
      payload: noise(random),
      ...(contentType === undefined ? {} : { contentType }),
      ...(random.once(3) ? { event: random.pick(EVENTS) } : {}),
      ...(random.once(2)
        ? { from: random.once(2) ? { session } : { user: 'alice', session } }
        : {}),
    };
  });
  return { channel: random.pick(TEXTS), epoch, messages };
}

function toRecord(run: FrameRun, mark: string | undefined): ServerRecord {
  return { kind: 'messages', messages: toMessages(run, mark) };
}

function toMessages({ channel, epoch, messages }: FrameRun, mark: string | undefined) {
  return messages.map(
    ({ offset, ...rest }, index): ChannelMessage => ({
      channel,
      ...(epoch === '' ? {} : { offset, epoch }),
      ...rest,
      ...(mark !== undefined && index === messages.length - 1 ? { mark } : {}),
    }),
  );
}

/** Numbers of all sizes below `bound`. */
function number(random: Seeded, bound = 2 ** 53): number {
  return Math.floor((random.below(2 ** 31) / 2 ** 31) * Math.min(bound, 2 ** random.below(54)));
}

function noise(random: Seeded): Uint8Array {
  const size = random.once(20) ? random.below(40_000) : random.below(200);
  return Uint8Array.from({ length: size }, () => random.below(256));
}

/** Bytes with one to three faults: cut off, changed, put in, left out, or noise alone. */
function damagedBytes(random: Seeded, frame: Uint8Array): Uint8Array {
  let bytes: Uint8Array = frame.slice();
  for (let faults = 1 + random.below(3); faults > 0; faults -= 1) {
    const at = random.below(bytes.length + 1);
    const kind = random.below(5);
    if (kind === 0) bytes = bytes.slice(0, at);
    else if (kind === 1 && at < bytes.length) bytes[at] = random.below(256);
    else if (kind === 2) bytes = joined([bytes.slice(0, at), noise(random), bytes.slice(at)]);
    else if (kind === 3)
      bytes = joined([bytes.slice(0, at), bytes.slice(at + 1 + random.below(9))]);
    else if (kind === 4 && random.once(10)) bytes = noise(random);
  }
  return bytes;
}
