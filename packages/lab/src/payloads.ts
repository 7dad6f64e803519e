/** Payloads: what is hard to hand on byte for byte, each with a name, and every way to publish it. */
import { decodeUtf8, encodeBase64, payloadKind } from '@trunkline/wire';
import { CODECS } from './codec.ts';
import type { Codec } from './codec.ts';
import { ask, post } from './http.ts';
import type { LabServer } from './server.ts';
import { WebSocketPeer } from './web-socket.ts';

/** A payload to publish. */
export interface Payload {
  readonly name: string;
  readonly bytes: Buffer;
  /** Absent means JSON. */
  readonly contentType?: string;
}

const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const MEGABYTE = 1_048_576;

const JSON_TEXTS: Readonly<Record<string, string>> = {
  'integers of 64 bits': '{"id":9007199254740993,"max":18446744073709551615}',
  'numbers in any spelling': '[1.0,1e400,-0,0.10000000000000000001,1E+2]',
  'members in their order, and twice': '{"b":1,"a":2,"b":3,"1":4,"__proto__":5}',
  'escapes as they were written': '"\\u0041\\/\\u2028\\ud83d\\ude00\\ud800"',
  'half a character, escaped': '"\\ud800"',
  'characters outside of ASCII': '"é 😀 \u2028 \u2029 \u0085 \ufeff"',
  'blanks inside': '{ "a" :\t1 }',
  'line breaks between the tokens': '{\r\n  "a": [1,\n2],\r"b": "x\\r\\ny"\n}',
  'a lone scalar': 'null',
  'empty text': '""',
  'an empty object': '{}',
  'what looks like a stream': '"data: x\\n\\nevent: close\\nid: 0:0"',
  'deep arrays': `${'['.repeat(200)}${']'.repeat(200)}`,
  '60 KB of text': JSON.stringify('0123456789abcde\u00e9'.repeat(3_600)),
  '1 MB of text': JSON.stringify('x'.repeat(MEGABYTE - 2)),
};

const TEXTS: Readonly<Record<string, string>> = {
  'one line': 'hello',
  nothing: '',
  lines: 'a\nb\n\nc\n',
  'carriage returns': 'a\r\nb\rc',
  'line separators': 'a\u2028b\u2029c\u0085d',
  'a byte order mark and blanks': '\ufeff  x ',
  'colons and fields': 'id: 1\nevent: close\n: comment',
  'a NUL': 'a\0b',
  'what looks like JSON': '{"a":1}',
};

/** All of them. */
export const PAYLOADS: readonly Payload[] = [
  ...Object.entries(JSON_TEXTS).map(([name, json]) => ({
    name: `JSON: ${name}`,
    bytes: Buffer.from(json),
  })),
  ...Object.entries(TEXTS).map(([name, text]) => ({
    name: `text: ${name}`,
    bytes: Buffer.from(text),
    contentType: 'text/plain; charset=utf-8',
  })),
  typed('text that is no UTF-8', 'text/plain', Buffer.from([0x61, 0xff, 0xfe])),
  typed('every byte value', 'image/x-lab', EVERY_BYTE),
  typed('no bytes', 'image/x-lab', Buffer.alloc(0)),
  typed('bytes of no known type', 'application/octet-stream', Buffer.from(EVERY_BYTE).reverse()),
  typed('bytes that look like JSON', 'application/octet-stream', Buffer.from('{"a":1}')),
  typed('1 MB of bytes', 'application/octet-stream', Buffer.alloc(MEGABYTE, EVERY_BYTE)),
];

function typed(name: string, contentType: string, bytes: Buffer): Payload {
  return { name, contentType, bytes: Buffer.from(bytes) };
}

/** One way to publish. */
export interface PublishTransport {
  /** As the columns of the matrix are called. */
  readonly name: string;
  /** What it can publish of {@link PAYLOADS}. */
  readonly payloads: readonly Payload[];
  /** Publishes them in their order. @throws when one is refused. */
  publish(server: LabServer, channel: string): Promise<void>;
}

/** JSON is not published as the body itself [HTTP-14]. */
const TYPED = PAYLOADS.filter(({ contentType }) => contentType !== undefined);

/** Every way to publish. */
export const PUBLISH_TRANSPORTS: readonly PublishTransport[] = [
  {
    name: 'HTTP',
    payloads: PAYLOADS,
    async publish({ url }, channel) {
      for (const payload of PAYLOADS) {
        const answer = await post(`${url}/v1/publish`, `{${members(channel, payload)}}`);
        if (answer.status !== 200) throw refused(payload, answer.text);
      }
    },
  },
  {
    name: 'binary HTTP',
    payloads: TYPED,
    async publish({ url }, channel) {
      for (const payload of TYPED) {
        const { contentType, bytes } = payload;
        const answer = await ask(`${url}/v1/publish?channel=${encodeURIComponent(channel)}`, {
          method: 'POST',
          headers: { 'content-type': contentType ?? '' },
          body: bytes,
        });
        if (answer.status !== 200) throw refused(payload, answer.text);
      }
    },
  },
  ...CODECS.map(overWebSocket),
];

function overWebSocket({ prefix, subprotocol }: Codec): PublishTransport {
  return {
    name: `${prefix}WebSocket`,
    payloads: PAYLOADS,
    async publish({ port }, channel) {
      using peer = await WebSocketPeer.open(port, { subprotocol });
      await peer.nextOf('welcome');
      for (const payload of PAYLOADS) {
        peer.sendJson(`{"type":"publish","id":1,${members(channel, payload)}}`);
        const answer = await peer.next();
        if (answer['type'] !== 'published') throw refused(payload, JSON.stringify(answer));
      }
    },
  };
}

/** The members of a publish as JSON: text as a string where it is UTF-8, other bytes as base64. */
function members(channel: string, { bytes, contentType }: Payload): string {
  const start = `"channel":${JSON.stringify(channel)}`;
  if (contentType === undefined) return `${start},"data":${bytes.toString('utf8')}`;
  const text = payloadKind(contentType) === 'text' ? decodeUtf8(bytes) : undefined;
  const data = text === undefined ? undefined : `"data":${JSON.stringify(text)}`;
  return `${start},${data ?? `"bytes":"${encodeBase64(bytes)}"`},"contentType":"${contentType}"`;
}

function refused({ name }: Payload, answer: string): Error {
  return new Error(`expected ${name} to be published, got ${answer.slice(0, 300)}`);
}
