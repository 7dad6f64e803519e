/**
 * Heads of requests, broken at random. Here's how it works:
 *
 * 1. A good head is built, and most are then broken in a few places with bytes that matter.
 * 2. Our parser reads it, at once and at several cuts: the answer must not depend on them.
 * 3. What our parser accepts, the parser of node:http must read as the very same request.
 */
import { deepStrictEqual, ok, strictEqual } from 'node:assert';
import { seededRandom, type SeededRandom } from '@trunkline/testkit';
import { parseHead } from '@trunkline/server/internal/http/head.ts';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';
import { fieldsOf, readByNode } from '../http/node-parser.ts';

const TARGETS = [
  '/',
  '/v1/sse',
  '/v1/ws?x=1',
  '/a?b?c',
  '//x',
  '/%00',
  '/a b',
  '/#f',
  '*',
  'http://h/',
];
const NAMES = [
  'Accept',
  'Cookie',
  'X-A',
  'Last-Event-ID',
  'Upgrade',
  'Connection',
  'Content-Length',
];
const VALUES = ['', 'a', 'websocket', 'upgrade', 'keep-alive, Upgrade', '0', ' x ', 'é', 'a\tb'];
const PIECES = [
  '\r',
  '\n',
  '\r\n',
  ' ',
  '\t',
  ':',
  '\0',
  '\x7f',
  '\x80',
  '\r\n ',
  'HTTP/1.0',
  ',',
  '"',
];

/** Runs `rounds` heads from `seed`; throws an `AssertionError` that names the head which failed. */
export function fuzzHttpHead(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const bytes = Buffer.from(makeHead(random), 'latin1');
    const told = `seed ${seed}, round ${round}: ${JSON.stringify(bytes.toString('latin1'))}`;
    checkCuts(random, bytes, told);
    checkAgainstNode(bytes, told);
  }
}

function makeHead(random: SeededRandom): string {
  let head = `GET ${random.pick(TARGETS)} HTTP/1.1\r\nHost: example.com\r\n`;
  const count = random.integer(5);
  for (let index = 0; index < count; index += 1) {
    head += `${random.pick(NAMES)}:${random.pick(['', ' ', '\t'])}${random.pick(VALUES)}\r\n`;
  }
  head += '\r\n';
  const breaks = random.chance(0.3) ? 0 : 1 + random.integer(3);
  for (let index = 0; index < breaks; index += 1) {
    const at = random.integer(head.length);
    const removed = random.integer(3);
    head = head.slice(0, at) + random.pick(PIECES) + head.slice(at + removed);
  }
  return head;
}

function checkCuts(random: SeededRandom, bytes: Buffer, told: string): void {
  const whole = parseHead(bytes, DEFAULT_HTTP_LIMITS);
  for (let cut = 0; cut < 4; cut += 1) {
    const part = parseHead(
      bytes.subarray(0, random.integer(bytes.length + 1)),
      DEFAULT_HTTP_LIMITS,
    );
    if (part !== 'partial') deepStrictEqual(part, whole, told);
  }
}

function checkAgainstNode(bytes: Buffer, told: string): void {
  const head = parseHead(bytes, DEFAULT_HTTP_LIMITS);
  if (typeof head === 'string') return;
  const read = readByNode(bytes.subarray(0, head.size));
  ok(read !== undefined, `only we accepted it: ${told}`);
  strictEqual(read.method, 'GET', told);
  strictEqual(
    read.url,
    head.search === '' && !read.url.endsWith('?') ? head.path : `${head.path}?${head.search}`,
    told,
  );
  deepStrictEqual(fieldsOf(read.rawHeaders), { ...head.headers }, told);
}
