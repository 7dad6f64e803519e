/** Reading over an event stream. */
import { EventStreamPeer } from '../event-stream.ts';
import type { StreamEvent } from '../event-stream.ts';
import { readQuery } from '../reader.ts';
import type { Begin, GapTold, Reader, ReadTransport, Received, VerdictTold } from '../reader.ts';
import type { LabServer } from '../server.ts';

/** Server-sent events. */
export const eventStreamReading: ReadTransport = {
  name: 'SSE',
  kind: 'SSE',
  keepsLineBreaks: false,
  open,
};

interface Opening {
  readonly positions: Readonly<Record<string, string>>;
  readonly recovered: Readonly<Record<string, boolean>>;
  readonly gaps: Readonly<Record<string, GapTold>>;
}

async function open(server: LabServer, begin: Begin): Promise<Reader> {
  const { channel } = begin;
  const peer = await EventStreamPeer.open(`${server.url}/v1/sse?${readQuery(begin)}`);
  if (peer.status !== 200) throw new Error(`expected 200, got ${peer.status}`);
  const { data } = await peer.expect<Opening>('open');
  const { positions, recovered, gaps } = data;
  const verdict: VerdictTold = {
    position: positions[channel] ?? '',
    ...(recovered[channel] === undefined ? {} : { recovered: recovered[channel] }),
    ...(gaps[channel] === undefined ? {} : { gap: gaps[channel] }),
  };
  return new EventStreamReader(peer, verdict);
}

class EventStreamReader implements Reader {
  readonly verdict: VerdictTold;
  position: string;
  readonly #peer: EventStreamPeer;

  constructor(peer: EventStreamPeer, verdict: VerdictTold) {
    this.#peer = peer;
    this.verdict = verdict;
    this.position = verdict.position;
  }

  async take(count: number): Promise<readonly Received[]> {
    const taken: Received[] = [];
    while (taken.length < count) {
      const event = await this.#peer.next();
      if (event.type === 'gap' || event.type === 'close') continue;
      const message = receivedOf(event);
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

/** [SSE-3], [SSE-4]. */
function receivedOf({ id, type, data }: StreamEvent): Received {
  const bytes = type.startsWith('bytes:');
  const event = bytes ? type.slice('bytes:'.length) : type;
  return {
    position: id,
    offset: Number(id.split(':')[1]),
    payload: bytes ? Buffer.from(data, 'base64') : data,
    ...(event === 'message' ? {} : { event }),
  };
}
