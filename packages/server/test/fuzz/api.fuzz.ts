/**
 * Requests to the HTTP API, made of what it knows and broken at random. Here's how it works:
 *
 * 1. A method, a path, a query, headers and a body are picked, most of them nearly right.
 * 2. Whatever they are, the answer is JSON on one line with a status below 500; a failure names a
 *    code of the registry, and nothing is logged as a fault of ours.
 * 3. What was published is read back: as many messages, in JSON that still parses.
 */
import { ok, strictEqual } from 'node:assert';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { CODES, isCodeName } from '@trunkline/wire';
import { jsonOf, requestOf, textOf } from '../api/requests.ts';
import type { RequestSketch } from '../api/requests.ts';
import { API_KEY, FOREIGN, OWN, setUp } from '../api/set-up.ts';
import type { SetUp } from '../api/set-up.ts';

/** Messages after which a new world is begun, so that reading back stays cheap. */
const MESSAGES_MAX = 500;

const METHODS = ['GET', 'POST', 'OPTIONS', 'HEAD', 'PUT', 'DELETE', 'get', ''];
const PATHS = [
  ...['/v1/publish', '/v1/publish', '/v1/publish', '/v1/poll', '/v1/poll', '/v1/history'],
  ...[
    '/v1/channels',
    '/v1/retained',
    '/v1/snapshot',
    '/v1/snapshot',
    '/v1/token',
    '/v1/ws',
    '/v1/sse',
    '/healthz',
    '/readyz',
    '/',
    '/%00',
    '*',
  ],
];
const CHANNELS = ['a', 'b', 'room/1', '__proto__'];
const PLACES = [
  'start',
  '0:0',
  'k3f9:1',
  'k3f9:999',
  '~m1',
  'a%3Dk3f9%3A1%26b%3Dx',
  'k3f9:1:1',
  '',
];
const PARAMETERS = [
  ...['channel', 'channel', 'channel', 'after', 'before', 'last', 'limit', 'wait', 'partial'],
  ...['position', 'position'],
  ...['match', 'event', 'key', 'access_token', '__proto__', ''],
];
const VALUES = [
  ...['a', 'b', 'room/1', '__proto__', '@alice', '$SYS', '%2B', '%23', 'a%2F%2B', 'é', '%C3%A9'],
  ...['%', '%ff', '%00', '', '0', '1', '60', '61', '-1', '1.5', '1e3', '9'.repeat(20), 'true'],
  ...PLACES,
  '🚂',
];
const HEADERS: readonly (readonly [string, readonly string[]])[] = [
  ['authorization', [`Bearer ${API_KEY}`, 'Bearer x.y.z', 'Bearer', 'Basic eA==', 'Bearer  ']],
  ['content-type', ['application/json', 'text/plain', 'image/png; a=b', 'x', '', 'text/é']],
  ['idempotency-key', ['k', '', 'x'.repeat(300), 'é']],
  ['last-event-id', ['k3f9:1', '', '~m', 'a=k3f9:1', '=', '\u00ff']],
  ['if-none-match', ['*', 'W/"x"', '"', ',,,', 'W/']],
  ['cookie', ['trunkline_token=x', 'trunkline_token="', '=;=', 'trunkline_token']],
  ['origin', [OWN, FOREIGN, 'null', '', 'http://localhost:1']],
  ['host', ['localhost', 'evil.example', '', '[', '[::1]:1']],
  ['x-forwarded-for', ['1.2.3.4']],
];
const MEMBERS = [
  ...['channel', 'channel', 'data', 'data', 'channels', 'bytes', 'contentType', 'event', 'key'],
  ...['retain', 'ttl', 'user', '__proto__', 'constructor', 'toJSON', ''],
];
const SCALARS = [
  ...['null', 'true', '0', '-0', '1e400', '12345678901234567890', '"a"', '"b"', '"room/1"', '""'],
  ...['"\\u0000"', '"\\ud800"', '"a\\r\\nb"', '"é🚂"', '"AAEC"', '"text/plain"', '"close"', '"#"'],
];
const DAMAGE = [
  '"',
  '\\',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '\r\n',
  '\u2028',
  '\0',
  'é',
  ' ',
  '\ufeff',
];

/** Asks `rounds` times from `seed`; throws an `AssertionError` that names the request. */
export async function fuzzApi(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  let world = newWorld(random);
  for (let round = 0; round < rounds; round += 1) {
    const sketch = makeRequest(random);
    const told = `seed ${seed}, round ${round}: ${JSON.stringify(sketch)}`;
    checkAnswer(await world.ask(sketch), told);
    strictEqual(world.errors.length, 0, `nothing is logged as a fault: ${told}`);
    if (world.hub.published.length > MESSAGES_MAX) {
      await readBack(world, told);
      world = newWorld(random);
    }
  }
  await readBack(world, `seed ${seed}, at the end`);
}

function newWorld(random: SeededRandom): SetUp {
  const world = setUp({ auth: random.pick([{}, { anonymous: true }, { development: true }]) });
  const read = world.hub.read.bind(world.hub);
  // Nobody publishes meanwhile, so every wait ends at once.
  world.hub.read = (caller, request) =>
    read(caller, {
      ...request,
      onWait(cancel) {
        request.onWait?.(cancel);
        cancel();
      },
    });
  return world;
}

function checkAnswer(answer: HttpAnswer, told: string): void {
  ok(answer.status >= 200 && answer.status < 500, `status ${answer.status}: ${told}`);
  for (const [name, value] of Object.entries(answer.headers ?? {})) {
    ok(/^[\t\x20-\x7e\x80-\xff]*$/.test(value), `header ${name} can be sent: ${told}`);
  }
  const text = textOf(answer);
  ok(!/[\r\n]/.test(text), `the body is one line: ${told}`);
  if (answer.status === 204 || answer.status === 304) return strictEqual(text, '', told);
  const body = jsonOf(answer);
  if (answer.status === 200) return;
  ok(typeof body === 'object' && body !== null && 'code' in body, told);
  ok(isCodeName(body.code), `code ${String(body.code)}: ${told}`);
  const exact = answer.status === 405 || answer.status === 426;
  ok(exact || CODES[body.code].http === answer.status, `status of ${body.code}: ${told}`);
}

/** Every message that was taken can be read, and its payload spoils no other. */
async function readBack({ api, hub }: SetUp, told: string): Promise<void> {
  const counts = new Map<string, number>();
  for (const { channel } of hub.published) counts.set(channel, (counts.get(channel) ?? 0) + 1);
  for (const [channel, count] of counts) {
    const url = `/v1/poll?channel=${encodeURIComponent(channel)}&after=start&limit=1000`;
    const headers = { authorization: `Bearer ${API_KEY}` };
    const answer = await api.onRequest(requestOf({ url, headers }));
    checkAnswer(answer, `${url}, ${told}`);
    const { messages } = jsonOf(answer) as { messages: { channel: string; offset: number }[] };
    const expected = Array.from({ length: Math.min(count, 1000) }, (_, index) => index + 1);
    strictEqual(messages.map(({ offset }) => offset).join(), expected.join(), `${url}, ${told}`);
    ok(
      messages.every((message) => message.channel === channel),
      `${url}, ${told}`,
    );
  }
}

function makeRequest(random: SeededRandom): RequestSketch {
  const path = random.pick(PATHS);
  const usual = path === '/v1/publish' || path === '/v1/token' ? 'POST' : 'GET';
  const expected = path === '/v1/snapshot' && random.chance(0.5) ? 'PUT' : usual;
  const method = random.chance(0.9) ? expected : random.pick(METHODS);
  const headers = Object.fromEntries(
    HEADERS.filter(() => random.chance(0.05)).map(([name, values]) => [name, random.pick(values)]),
  );
  // Most requests are let in, or nothing behind the door would be tried.
  if (random.chance(0.8)) headers['authorization'] = `Bearer ${API_KEY}`;
  const body = makeBody(random);
  return { method, url: `${path}?${makeSearch(random)}`, headers, body };
}

function makeSearch(random: SeededRandom): string {
  const pairs = Array.from(
    { length: random.integer(3) },
    () => `${random.pick(PARAMETERS)}=${random.pick(VALUES)}`,
  );
  if (random.chance(0.6)) pairs.push(`channel=${random.pick(CHANNELS)}`);
  if (random.chance(0.2)) pairs.push(`after=${random.pick(PLACES)}`);
  const search = pairs.join('&');
  return random.chance(0.1) ? damaged(random, search, ['%', '&', '=', '+', '%f', ';']) : search;
}

function makeBody(random: SeededRandom): string | Uint8Array {
  if (random.chance(0.05)) return random.bytes(random.integer(64));
  const count = random.integer(5);
  const json = random.chance(0.3)
    ? `[${Array.from({ length: count }, () => makeElement(random)).join()}]`
    : makeElement(random);
  return random.chance(0.2) ? damaged(random, json, DAMAGE) : json;
}

function makeElement(random: SeededRandom): string {
  if (random.chance(0.1)) return makeValue(random, 0);
  const members = [`"channel":${JSON.stringify(random.pick(CHANNELS))}`];
  if (random.chance(0.7)) members.push(`"data":${makeValue(random, 0)}`);
  while (random.chance(0.4)) {
    members.push(`${JSON.stringify(random.pick(MEMBERS))}: ${makeValue(random, 0)}`);
  }
  return `{${members.join(random.pick([',', ' ,\r\n']))}}`;
}

function makeValue(random: SeededRandom, depth: number): string {
  if (random.chance(0.01)) {
    const deep = 1 + random.integer(5_000);
    return '['.repeat(deep) + ']'.repeat(deep);
  }
  if (depth > 3 || random.chance(0.6)) return random.pick(SCALARS);
  const items = Array.from({ length: random.integer(4) }, () => makeValue(random, depth + 1));
  if (random.chance(0.5)) return `[${items.join()}]`;
  return `{${items.map((item) => `${JSON.stringify(random.pick(MEMBERS))}:${item}`).join()}}`;
}

function damaged(random: SeededRandom, text: string, pieces: readonly string[]): string {
  let broken = text;
  do {
    const at = random.integer(broken.length + 1);
    const piece = random.chance(0.5) ? random.pick(pieces) : '';
    broken = broken.slice(0, at) + piece + broken.slice(at + random.integer(3));
  } while (random.chance(0.3));
  return broken;
}
