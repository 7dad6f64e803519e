/** Reading over WebSocket. */
import { memberSource } from '@trunkline/wire';
import { BINARY_CODEC, JSON_CODEC } from '../codec.ts';
import type { Codec } from '../codec.ts';
import type { Fields } from '../http.ts';
import type { Begin, GapTold, Reader, ReadTransport, Received, VerdictTold } from '../reader.ts';
import type { LabServer } from '../server.ts';
import { WebSocketPeer } from '../web-socket.ts';

/** The native protocol. */
export const webSocketReading: ReadTransport = readingIn(JSON_CODEC);
export const binaryWebSocketReading: ReadTransport = readingIn(BINARY_CODEC);

function readingIn(codec: Codec): ReadTransport {
  return {
    name: `${codec.prefix}WebSocket`,
    kind: 'WebSocket',
    keepsLineBreaks: codec === BINARY_CODEC,
    open: (server, begin) => open(server, begin, codec),
  };
}

async function open(
  server: LabServer,
  { token, ...begin }: Begin,
  { subprotocol }: Codec,
): Promise<Reader> {
  const headers = token === undefined ? {} : { Authorization: `Bearer ${token}` };
  const peer = await WebSocketPeer.open(server.port, { headers, subprotocol });
  await peer.nextOf('welcome');
  peer.send({ type: 'subscribe', id: 1, ...begin });
  const answer = await peer.next();
  if (answer['type'] !== 'subscribed') {
    throw new Error(`expected subscribed, got ${JSON.stringify(answer)}`);
  }
  const { position, recovered, gap } = answer;
  return new WebSocketReader(peer, {
    position: String(position),
    ...(recovered === undefined ? {} : { recovered: recovered === true }),
    ...(gap === undefined ? {} : { gap: gap as GapTold }),
  });
}

class WebSocketReader implements Reader {
  readonly verdict: VerdictTold;
  position: string;
  readonly #peer: WebSocketPeer;

  constructor(peer: WebSocketPeer, verdict: VerdictTold) {
    this.#peer = peer;
    this.verdict = verdict;
    this.position = verdict.position;
  }

  async take(count: number): Promise<readonly Received[]> {
    const taken: Received[] = [];
    while (taken.length < count) {
      const message = receivedOf(await this.#peer.nextOf('message'));
      taken.push(message);
      this.position = message.position;
    }
    return taken;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#peer[Symbol.dispose]();
    return Promise.resolve();
  }
}

/** A message object as it stood on the wire. */
export function receivedOf(fields: Fields): Received {
  const { offset, epoch, bytes, event, contentType, data, source } = fields;
  const json = typeof source === 'string' ? memberSource(source, 'data') : undefined;
  const text = contentType === undefined ? (json ?? '') : String(data);
  return {
    position: `${String(epoch)}:${String(offset)}`,
    offset: Number(offset),
    payload: typeof bytes === 'string' ? Buffer.from(bytes, 'base64') : text,
    ...(typeof event === 'string' ? { event } : {}),
  };
}
