/**
 * Fuzz of HTTP/2. Here's how it works:
 *
 * 1. Heads: random lists of fields must be read as a request of which every part is what it may be,
 *    or be refused.
 * 2. Sessions: a round opens a connection to a real listener and sends frames, good ones and wrong
 *    ones, and breaks the bytes of some, in random pieces. Handlers read bodies, wait, accept, echo
 *    and refuse by chance, time passes, and the peer may give up.
 * 3. What the server sends must be frames, and for each stream an answer or an error: no data
 *    comes before a head, and nothing behind the end of a stream.
 * 4. When the peer is gone nothing is left of it: no stream, no alarm, no body that is waited for.
 *    A bystander is served all the while, and the server complains of nothing.
 */
import assert from 'node:assert/strict';
import { readHttp2Head } from '@trunkline/server/internal/http/h2-head.ts';
import { HOST } from '@trunkline/server/internal/http/head.ts';
import type {
  HttpAnswer,
  HttpRequest,
  StreamRequest,
} from '@trunkline/server/internal/http/request.ts';
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { H2Client } from '../http/h2-client.ts';
import { settle, startListener, type TestListener, until } from '../http/set-up.ts';

const HEADERS_MAX = 8;
const PEER = { remoteAddress: '192.0.2.7', secure: false };

type Field = readonly [name: string, value: string];

const METHODS = ['GET', 'POST', 'CONNECT', 'OPTIONS', 'HEAD', 'get', ''];
const PATHS = ['/', '/v1/sse', '/v1/ws?a=1', '/a#b', '*', '', 'http://h/', '/a b', '//', '/%00'];
const AUTHORITIES = ['a.example', 'A.example:80', '[::1]:443', '', 'a@b', 'a/b', 'a b', 'a,b'];
const NAMES = ['host', 'cookie', 'content-length', 'expect', '__proto__', 'x-a', 'te', 'upgrade'];
const VALUES = ['', '0', '5', 'a.example', 'trailers', '100-continue', 'é', 'websocket', 'a\tb'];

/** Throws when a head is read as anything but what the first point above says. */
export function fuzzHttp2Head(seed: number, rounds: number): void {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const fields = makeFields(random);
    const told = `seed ${seed}, round ${round}: ${JSON.stringify(fields)}`;
    const raw = fields.flat();
    const { head, asksForWebSocket, refusal } = readHttp2Head(raw, PEER, {
      headersMax: HEADERS_MAX,
    });
    for (const name of Object.keys(head.headers)) assert.ok(!name.startsWith(':'), told);
    if (refusal !== undefined) {
      assert.ok([400, 431, 501].includes(refusal.status), told);
      continue;
    }
    assert.ok(raw.length <= 2 * HEADERS_MAX, told);
    assert.match(head.path, /^(?:\/[!-~]*|\*)$/, told);
    assert.doesNotMatch(head.path + head.search, /[# ]/, told);
    assert.match(head.headers['host'] ?? '', HOST, told);
    assert.equal(asksForWebSocket, head.method === 'CONNECT', told);
    const hosts = fields.filter(([name]) => name === 'host' || name === ':authority');
    const different = new Set(hosts.map(([, value]) => value.toLowerCase()));
    assert.equal(different.size, 1, told);
  }
}

function makeFields(random: SeededRandom): Field[] {
  const fields: Field[] = [];
  const add = (probability: number, name: string, values: readonly string[]): void => {
    if (random.chance(probability)) fields.push([name, random.pick(values)]);
  };
  add(0.95, ':method', METHODS);
  add(0.9, ':scheme', ['http', 'https']);
  add(0.9, ':authority', AUTHORITIES);
  add(0.95, ':path', PATHS);
  add(0.3, ':protocol', ['websocket', 'WebSocket', 'connect-udp', '']);
  for (let count = random.integer(7); count > 0; count -= 1) add(1, random.pick(NAMES), VALUES);
  return fields;
}

const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
};
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const FRAME_HEAD_SIZE = 9;

/** Longer than all deadlines that may follow each other. */
const MINUTES_MAX = 10;

/** Throws when a session does anything but what the points 2 to 4 above say. */
export async function fuzzHttp2(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  const handlers = new Handlers(random.fork());
  await using server = await startListener(handlers, {}, { http2Limits: { largeBodiesMax: 2 } });
  await using bystander = await H2Client.connect(`http://127.0.0.1:${server.port}`);
  const held = bystander.call('/v1/held');
  await until(() => handlers.isHeld, 'the stream of the bystander');
  for (let round = 0; round < rounds; round += 1) {
    try {
      await new Round(random.fork(), server).run();
      assert.equal((await bystander.call('/v1/calm').done()).text, 'calm');
      assert.equal(server.wheel.armedCount, 0, 'an alarm was left');
      assert.equal(handlers.bodiesUnderWay, 0, 'a body is still waited for');
      const complaints = server.lines.splice(0).filter(({ level }) => level !== 'debug');
      assert.deepEqual(complaints, []);
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
  assert.equal(held.closed, false);
}

/** Who serves: everything that handlers may do, by chance. */
class Handlers {
  readonly #random: SeededRandom;
  isHeld = false;
  bodiesUnderWay = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  readonly isEventStream = (path: string): boolean => path === '/v1/sse' || path === '/v1/held';

  readonly onRequest = async (request: HttpRequest): Promise<HttpAnswer> => {
    if (request.path === '/v1/calm') return { status: 200, body: 'calm' };
    const kind = this.#random.integer(5);
    if (kind <= 1) return this.#readBody(request);
    if (kind === 2) await new Promise<void>((resolve) => request.onAbort(resolve));
    if (kind === 3) await settle();
    return { status: this.#random.pick([200, 204, 404]), body: 'x'.repeat(this.#size()) };
  };

  readonly onUpgrade = (request: StreamRequest): void => this.#decide(request);

  readonly onEventStream = (request: StreamRequest): void => {
    if (request.path === '/v1/held') {
      request.accept(200, {});
      this.isHeld = true;
    } else this.#decide(request);
  };

  async #readBody(request: HttpRequest): Promise<HttpAnswer> {
    this.bodiesUnderWay += 1;
    try {
      const body = await request.body(1000);
      return { status: 200, body };
    } catch {
      return { status: 400, body: 'no' };
    } finally {
      this.bodiesUnderWay -= 1;
    }
  }

  #decide(request: StreamRequest): void {
    const kind = this.#random.integer(4);
    if (kind === 0) request.refuse({ status: 403, body: 'y'.repeat(this.#size()) });
    else if (kind === 1) setImmediate(() => this.#accept(request));
    else this.#accept(request);
  }

  #accept(request: StreamRequest): void {
    const stream = request.accept(200, {});
    stream.on('error', () => {});
    stream.on('data', (chunk: Buffer) => {
      if (stream.writable) stream.write(chunk);
    });
    stream.on('end', () => stream.end());
    stream.write('z'.repeat(this.#size()));
    const kind = this.#random.integer(4);
    if (kind === 0) stream.end();
    else if (kind === 1) setImmediate(() => stream.destroy());
  }

  #size(): number {
    return this.#random.integer(this.#random.pick([2, 100, 50_000]));
  }
}

/** One connection of a peer that breaks rules. */
class Round {
  readonly #random: SeededRandom;
  readonly #server: TestListener;
  #streams = 0;

  constructor(random: SeededRandom, server: TestListener) {
    this.#random = random;
    this.#server = server;
  }

  async run(): Promise<void> {
    const client = await this.#server.connect();
    let bytes = this.#makeInput();
    while (bytes.length > 0 && !client.closed) {
      const size = 1 + this.#random.integer(this.#random.pick([10, 200, 20_000]));
      client.socket.write(bytes.subarray(0, size));
      bytes = bytes.subarray(size);
      if (this.#random.chance(0.2)) await settle();
      if (this.#random.chance(0.02)) this.#server.clock.advance(this.#random.integer(50_000));
    }
    await settle();
    if (this.#random.chance(0.2)) client.reset();
    else if (this.#random.chance(0.3)) client.socket.end();
    await settle();
    await client[Symbol.asyncDispose]();
    checkOutput(Buffer.from(client.text, 'latin1'));
    await this.#seesEnd();
  }

  /** Of the connection and its streams, at the latest by their deadlines; the bystander's stay. */
  async #seesEnd(): Promise<void> {
    const { clock, listener } = this.#server;
    const isOver = (): boolean =>
      listener.connectionCount === 1 && listener.http2.streamCount === 1;
    for (let minute = 0; minute < MINUTES_MAX && !isOver(); minute += 1) {
      await settle();
      if (!isOver()) clock.advance(60_000);
    }
    await until(isOver, 'the end of the connection and its streams');
    await settle();
  }

  #makeInput(): Buffer {
    const random = this.#random;
    const frames = [PREFACE, frame(TYPE.settings, 0, 0, this.#settings())];
    const windowed = random.chance(0.5);
    if (windowed) frames.push(frame(TYPE.windowUpdate, 0, 0, number32(2 ** 30)));
    for (let count = random.integer(30); count > 0; count -= 1) frames.push(this.#frame());
    const bytes = Buffer.concat(frames);
    // Behind the preface: without it this is no session.
    const breaks = random.chance(0.5) ? 0 : 1 + random.integer(4);
    for (let count = 0; count < breaks; count += 1) {
      bytes[PREFACE.length + random.integer(bytes.length - PREFACE.length)] = random.integer(256);
    }
    const cut = random.chance(0.1) ? random.integer(bytes.length - PREFACE.length) : 0;
    return bytes.subarray(0, bytes.length - cut);
  }

  #frame(): Buffer {
    const random = this.#random;
    const kind = random.integer(20);
    if (kind < 7) return this.#request();
    if (kind < 11) return this.#data();
    const stream = this.#stream();
    switch (kind) {
      case 11:
        return frame(TYPE.reset, 0, stream, number32(random.integer(14)));
      case 12:
        return frame(TYPE.settings, random.pick([0, 0, ACK]), 0, this.#settings());
      case 13:
        return frame(TYPE.ping, random.pick([0, ACK]), 0, random.bytes(8));
      case 14:
        return frame(TYPE.goaway, 0, 0, Buffer.concat([number32(0), number32(random.integer(3))]));
      case 15:
        return frame(TYPE.windowUpdate, 0, random.pick([0, stream]), number32(this.#increment()));
      case 16:
        return frame(TYPE.priority, 0, stream, random.bytes(5));
      case 17:
        return frame(TYPE.continuation, random.pick([0, END_HEADERS]), stream, random.bytes(9));
      case 18:
        return frame(TYPE.push, END_HEADERS, stream, number32(2));
      default:
        return frame(random.integer(256), random.integer(256), stream, random.bytes(20));
    }
  }

  #request(): Buffer {
    const random = this.#random;
    this.#streams += 1;
    const flags = random.pick([END_STREAM, END_STREAM, 0]);
    const block = literals(random.chance(0.2) ? makeFields(random) : this.#goodFields());
    const id = random.chance(0.95) ? 2 * this.#streams - 1 : this.#stream();
    if (random.chance(0.9)) return frame(TYPE.headers, flags | END_HEADERS, id, block);
    const cut = random.integer(block.length);
    return Buffer.concat([
      frame(TYPE.headers, flags, id, block.subarray(0, cut)),
      frame(TYPE.continuation, END_HEADERS, id, block.subarray(cut)),
    ]);
  }

  #goodFields(): Field[] {
    const random = this.#random;
    const fields: Field[] = [
      [':scheme', 'http'],
      [':authority', 'a.example'],
    ];
    const kind = random.integer(4);
    if (kind === 0) fields.push([':method', 'GET'], [':path', '/v1/sse']);
    else if (kind === 1) {
      fields.push([':method', 'CONNECT'], [':protocol', 'websocket'], [':path', '/v1/ws']);
    } else fields.push([':method', random.pick(['GET', 'POST', 'HEAD'])], [':path', '/a']);
    if (kind === 2 && random.chance(0.5)) fields.push(['expect', '100-continue']);
    if (kind === 3 && random.chance(0.5)) {
      fields.push(['content-length', String(random.integer(2000))]);
    }
    return fields;
  }

  #data(): Buffer {
    const flags = this.#random.pick([0, 0, END_STREAM]);
    return frame(TYPE.data, flags, this.#stream(), this.#random.bytes(this.#random.integer(600)));
  }

  #settings(): Buffer {
    const entries: Buffer[] = [];
    for (let count = this.#random.integer(3); count > 0; count -= 1) {
      const id = Buffer.alloc(2);
      id.writeUInt16BE(this.#random.pick([1, 3, 4, 4, 4, 5, 6, 8, 99]));
      entries.push(id, number32(this.#random.pick([0, 1, 16_384, 65_535, 2 ** 31 - 1, 2 ** 31])));
    }
    return Buffer.concat(entries);
  }

  #increment(): number {
    return this.#random.pick([0, 1, 100, 65_535, 2 ** 31 - 1]);
  }

  /** Nearly always one that was opened. */
  #stream(): number {
    return 2 * this.#random.integer(this.#streams + 2) + (this.#random.chance(0.95) ? 1 : 0);
  }
}

/** Sees that what a server sent is frames, the last of which may be cut, in an order that can be. */
function checkOutput(bytes: Buffer): void {
  // The preface took too long: until it is complete this may be HTTP/1.1.
  if (bytes.subarray(0, 12).equals(Buffer.from('HTTP/1.1 408'))) return;
  const heads = new Set<number>();
  const over = new Set<number>();
  for (let at = 0; at + FRAME_HEAD_SIZE <= bytes.length; ) {
    const size = bytes.readUIntBE(at, 3);
    const [type, flags] = [bytes.readUInt8(at + 3), bytes.readUInt8(at + 4)];
    const stream = bytes.readUInt32BE(at + 5);
    assert.ok(type <= TYPE.windowUpdate && type !== TYPE.push, `frame of type ${type} at ${at}`);
    assert.equal(stream % 2, stream === 0 ? 0 : 1, `stream ${stream} is none of the peer's`);
    const isAnswer = type === TYPE.headers || type === TYPE.data;
    if (isAnswer) {
      assert.ok(!over.has(stream), `type ${type} behind the end of stream ${stream}`);
      if (type === TYPE.data) assert.ok(heads.has(stream), `no head on stream ${stream}`);
      if ((flags & END_STREAM) !== 0) over.add(stream);
      heads.add(stream);
    }
    if (type === TYPE.reset) over.add(stream);
    at += FRAME_HEAD_SIZE + size;
  }
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD_SIZE);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Fields without an index (RFC 7541 §6.2.2); none of ours is longer than one byte can say. */
function literals(fields: readonly Field[]): Buffer {
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.of(0), ...[name, value].map(literal)]),
  );
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
