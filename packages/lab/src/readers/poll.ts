/** Reading by polls, patient and impatient ones. */
import { elementSources, memberSource } from '@trunkline/wire';
import { BINARY_CODEC, JSON_CODEC, pageText } from '../codec.ts';
import type { Codec } from '../codec.ts';
import { ask } from '../http.ts';
import type { Fields } from '../http.ts';
import { readQuery } from '../reader.ts';
import type { Begin, GapTold, Reader, ReadTransport, Received, VerdictTold } from '../reader.ts';
import type { LabServer } from '../server.ts';
import { receivedOf } from './websocket.ts';

/** Polls that bring nothing, after which a short poller gives up. */
const EMPTY_POLLS_MAX = 5_000;

/** How a poller asks. */
interface Asking {
  readonly codec: Codec;
  /** Seconds of the first poll, and of those after it. */
  readonly first: string;
  readonly later: string;
}

/** The first poll of a long poller asks for the verdict: it waits, but not for messages. */
const LONG = { kind: 'long polling', first: '0.001', later: '30' } as const;
const SHORT = { kind: 'short polling', first: '0', later: '0' } as const;

/** Polls that wait at the server. */
export const longPolling: ReadTransport = pollingIn(JSON_CODEC, LONG);
export const binaryLongPolling: ReadTransport = pollingIn(BINARY_CODEC, LONG);

/** Polls that are answered at once. */
export const shortPolling: ReadTransport = pollingIn(JSON_CODEC, SHORT);
export const binaryShortPolling: ReadTransport = pollingIn(BINARY_CODEC, SHORT);

function pollingIn(codec: Codec, { kind, ...waits }: typeof LONG | typeof SHORT): ReadTransport {
  return {
    name: `${codec.prefix}${kind}`,
    kind,
    keepsLineBreaks: codec === BINARY_CODEC,
    open: (server, begin) => PollReader.open(server, begin, { codec, ...waits }),
  };
}

/** The answer to a poll. */
export interface PollAnswer {
  readonly messages: readonly Fields[];
  readonly positions: Readonly<Record<string, string>>;
  readonly mark: string;
  readonly recovered: Readonly<Record<string, boolean>>;
  readonly gaps: Readonly<Record<string, GapTold>>;
  readonly more?: boolean;
}

class PollReader implements Reader {
  readonly verdict: VerdictTold;
  position: string;
  readonly #server: LabServer;
  readonly #begin: Begin;
  readonly #asking: Asking;
  /** Where the next poll goes on. */
  #after: string;
  #ready: readonly Received[];

  private constructor(server: LabServer, begin: Begin, asking: Asking, text: string) {
    const { channel } = begin;
    const answer = JSON.parse(text) as PollAnswer;
    const recovered = answer.recovered[channel];
    const gap = answer.gaps[channel];
    this.#server = server;
    this.#begin = begin;
    this.#asking = asking;
    this.#ready = messagesOf(text);
    this.#after = answer.positions[channel] ?? '';
    // Of a poll only the end is told; where it began is right before its first message.
    const begins = this.#ready[0] === undefined ? this.#after : before(this.#ready[0]);
    this.position = begins;
    this.verdict = {
      position: begins,
      ...(recovered === undefined ? {} : { recovered }),
      ...(gap === undefined ? {} : { gap }),
    };
  }

  static async open(server: LabServer, begin: Begin, asking: Asking): Promise<PollReader> {
    const text = await poll(server, begin, asking.first, asking.codec);
    return new PollReader(server, begin, asking, text);
  }

  async take(count: number): Promise<readonly Received[]> {
    const { channel, token } = this.#begin;
    for (let empty = 0; this.#ready.length < count; empty += 1) {
      if (empty === EMPTY_POLLS_MAX) throw new Error(`${EMPTY_POLLS_MAX} polls brought nothing`);
      const begin = { channel, after: this.#after, ...(token === undefined ? {} : { token }) };
      const { codec, later } = this.#asking;
      const text = await poll(this.#server, begin, later, codec);
      const { positions, gaps } = JSON.parse(text) as PollAnswer;
      if (gaps[channel] !== undefined) throw new Error(`a gap: ${text}`);
      this.#ready = [...this.#ready, ...messagesOf(text)];
      this.#after = positions[channel] ?? '';
    }
    const taken = this.#ready.slice(0, count);
    this.#ready = this.#ready.slice(count);
    this.position = taken.at(-1)?.position ?? this.position;
    return taken;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** The answer as JSON, whichever codec it came in. */
async function poll(
  server: LabServer,
  begin: Begin,
  wait: string,
  { headers }: Codec,
): Promise<string> {
  const answer = await ask(`${server.url}/v1/poll?${readQuery(begin, { wait })}`, { headers });
  if (answer.status !== 200) throw new Error(`expected 200, got ${answer.status}: ${answer.text}`);
  return answer.headers['content-type'] === BINARY_CODEC.headers['accept']
    ? pageText(answer.bytes)
    : answer.text;
}

function messagesOf(text: string): Received[] {
  return elementSources(memberSource(text, 'messages') ?? '[]').map((source) =>
    receivedOf({ ...(JSON.parse(source) as Fields), source }),
  );
}

function before({ position, offset }: Received): string {
  return `${position.slice(0, position.indexOf(':'))}:${offset - 1}`;
}
