/**
 * Fuzzing the parsers of untrusted text. How it works:
 *
 * 1. A seed gives texts: valid ones, damaged ones and noise.
 * 2. Each parser must answer with a value or a `CodedError`; anything else that is thrown goes
 *    through and fails the run.
 * 3. What was read must agree with what `JSON.parse` says about the same text.
 */
import assert from 'node:assert/strict';
import {
  channelNameFault,
  CodedError,
  decodeCommands,
  decodePublishBody,
  decodeUtf8,
  encodeMessage,
  formatPosition,
  isJsonContentType,
  isMark,
  parseAfter,
  parseAfterEach,
  parsePosition,
} from '../../src/index.ts';
import type { PublishFields } from '../../src/index.ts';
import { elementSources, memberSource } from '../../src/json-source.ts';
import { Seeded } from '../support/seeded.ts';
import { damaged, jsonMember, jsonObject, jsonValue, NAMES } from './json-text.ts';

const TYPES = ['hello', 'subscribe', 'unsubscribe', 'publish', 'history', 'refresh', 'ping', 'x'];
const FITTING: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    id: ['0', '1', '9007199254740991'],
    channel: ['"a"', '"room/42"', '"a/#"', '"@alice"'],
    channels: ['["a"]', '["a","b"]'],
    bytes: ['""', '"AP8="', '"MQ=="'],
    contentType: ['"text/plain"', '"application/json"', '"image/png"'],
    event: ['"moved"'],
    key: ['"k"'],
    after: ['"start"', '"k3f9:42"', '"~1"'],
    last: ['0', '10'],
    token: ['"t"'],
  }),
);

/** Commands and publish bodies: a value or a `CodedError`, and every payload can be embedded. */
export function fuzzCommands(seed: number, rounds: number): void {
  const random = new Seeded(seed);
  for (let round = 0; round < rounds; round += 1) {
    const lines = Array.from({ length: 1 + random.below(2) }, () => commandText(random));
    for (const decoded of decodeCommands(lines.join('\n'))) {
      if (!decoded.ok) assert(decoded.error instanceof CodedError);
      else if (decoded.command.type === 'publish') checkPublish(decoded.command);
    }
    const body = random.once(2) ? `[${lines.join(',')}]` : (lines[0] ?? '');
    checkBody(body);
  }
}

/** Positions: what is read is written back the same, and nothing is guessed. */
export function fuzzPositions(seed: number, rounds: number): void {
  const random = new Seeded(seed);
  const pieces = [
    '0',
    '1',
    '42',
    ':',
    ':',
    '=',
    '&',
    '~',
    '%3A',
    '+',
    'k3f9',
    'start',
    '-',
    'ä',
    '',
  ];
  const channels = ['a', 'k3f9', '0', '~'];
  for (let round = 0; round < rounds; round += 1) {
    const text = Array.from({ length: random.below(7) }, () => random.pick(pieces)).join('');
    const position = parsePosition(text);
    if (position !== undefined) {
      assert(Number.isSafeInteger(position.offset) && position.offset >= 0, text);
      assert.equal(formatPosition(position), text);
    }
    const after = parseAfter(text);
    assert.equal(after.kind === 'position', position !== undefined, text);
    assert.equal(after.kind === 'mark', isMark(text), text);
    const each = parseAfterEach(text, channels);
    assert(each.size > 0, `nothing may mean "from now on" for all channels: ${text}`);
    for (const channel of each.keys()) assert(channels.includes(channel), channel);
  }
}

/** The source of members and elements agrees with `JSON.parse`. */
export function fuzzJsonSource(seed: number, rounds: number): void {
  const random = new Seeded(seed);
  for (let round = 0; round < rounds; round += 1) {
    const members = Array.from({ length: random.below(5) }, () => jsonMember(random));
    const object = jsonObject(random, members);
    const fields = JSON.parse(object) as Record<string, unknown>;
    for (const name of NAMES) {
      const source = memberSource(object, name);
      assert.equal(source !== undefined, Object.hasOwn(fields, name), `${name} of ${object}`);
      if (source !== undefined) assert.deepEqual(JSON.parse(source), fields[name], object);
    }
    const array = `[${Array.from({ length: random.below(5) }, () => jsonValue(random)).join(' , ')}]`;
    const elements = elementSources(array).map((source) => JSON.parse(source) as unknown);
    assert.deepEqual(elements, JSON.parse(array), array);
  }
}

/** Mostly a command with fitting members, so that the fuzzing gets past the first check. */
function commandText(random: Seeded): string {
  const members = [`"type":"${random.pick(TYPES)}"`];
  for (let count = random.below(6); count > 0; count -= 1) {
    const name = random.pick(NAMES);
    const fitting = FITTING.get(name);
    const fits = fitting !== undefined && !random.once(5);
    members.push(fits ? `"${name}":${random.pick(fitting)}` : jsonMember(random, 0, name));
  }
  const json = jsonObject(random, members);
  return random.once(4) ? damaged(random, json) : json;
}

function checkBody(body: string): void {
  let read;
  try {
    read = decodePublishBody(body);
  } catch (error) {
    if (error instanceof CodedError) return;
    throw error;
  }
  const elements = Array.isArray(read) ? read : [read];
  if (Array.isArray(read)) assert.equal(read.length, (JSON.parse(body) as unknown[]).length, body);
  for (const element of elements) {
    if (element instanceof CodedError) continue;
    for (const channel of element.channels ?? [element.channel ?? '']) {
      assert.equal(channelNameFault(channel), undefined);
    }
    checkPublish(element);
  }
}

/** Whatever was accepted stands in a frame as one JSON object on one line. */
export function checkPublish(fields: PublishFields): void {
  const { payload, contentType, event } = fields;
  const draft = { payload, ...(contentType === undefined ? {} : { contentType }) };
  const message = { ...draft, ...(event === undefined ? {} : { event }), offset: 1, time: 0 };
  const frame = encodeMessage('a', 'e', message, true);
  assert(!/[\r\n]/.test(frame), frame);
  const read = JSON.parse(frame) as Record<string, unknown>;
  assert.equal(read['type'], 'message', frame);
  assert.equal(read['offset'], 1, frame);
  assert.equal(read['event'], event, frame);
  assert(contentType === undefined || !isJsonContentType(contentType), frame);
  if (contentType === undefined) {
    assert.deepEqual(read['data'], JSON.parse(decodeUtf8(payload) ?? ''), frame);
  }
}
