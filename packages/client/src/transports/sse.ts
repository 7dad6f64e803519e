/** SSE: event streams, read with `fetch`, which unlike `EventSource` tells why it was refused. */
import { CodedError } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import {
  asObject,
  known,
  parseObject,
  toCode,
  toGap,
  toMessage,
  toPresence,
  toSnapshot,
} from '../events.ts';
import { refusalOf } from '../http.ts';
import { EventStreamParser } from './event-stream.ts';
import { openHttp } from './http-reading.ts';
import type { HttpAttempt, Read, Reader } from './http-reading.ts';
import { NO_ANSWER, typeOf } from './http-requests.ts';
import { openingOf, tellGaps } from './opening.ts';
import { compatible, queryOf, sharedOut } from './read-plan.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Transport } from './transport.ts';

const TYPE = 'text/event-stream';

/** A comment comes every 15 s. [SSE-7] */
const SILENCE_MS_MAX = 15_000 + SILENCE_GRACE_MS;

/** Events that tell who is there. */
const PRESENCE = new Set(['join', 'leave', 'presence']);

/** Works wherever HTTP streams, and needs no upgrade. */
export const sse: Transport = {
  name: 'sse',
  fault: () =>
    typeof Response === 'function' && 'body' in Response.prototype
      ? undefined
      : 'fetch can not stream in this runtime',
  open: (target, sink, platform) => openHttp(streamReader, target, sink, platform),
};

/**
 * Reads by streams. All begins in one, if it can: one `last` holds for all that have no place yet,
 * and so does the wish for a snapshot. Else some begin in another stream, and when they have opened
 * they have places to go on from together with the rest. A pattern and what it matches stay apart
 * unless they begin alike.
 */
function streamReader(attempt: HttpAttempt): Reader {
  let apart = '';
  return {
    streams: true,
    plan() {
      const wishes = attempt.wanted();
      const together = compatible(wishes, true);
      if (together.length === wishes.length) {
        apart = '';
        return sharedOut(wishes, true);
      }
      const rest = wishes.filter((wish) => !together.includes(wish));
      const some = [...together, ...compatible(rest, true)];
      const keys = JSON.stringify(some.map(({ key }) => key));
      const hasPlaces = some.every(({ after }) => after !== undefined);
      // What has no place when it has opened, as volatile channels, stays apart.
      if (hasPlaces || keys === apart) return sharedOut(wishes, true);
      apart = keys;
      attempt.planAgain();
      return sharedOut(some, true);
    },
    read: (read) => new EventStream(attempt, read).run(),
  };
}

/** One stream, from its request to its end. */
class EventStream {
  readonly #attempt: HttpAttempt;
  readonly #read: Read;
  readonly #parser = new EventStreamParser();
  /** The last id that was told on. */
  #id = '';
  #hasOpened = false;
  #hasSettled = false;

  constructor(attempt: HttpAttempt, read: Read) {
    this.#attempt = attempt;
    this.#read = read;
  }

  /** Reads until the signal aborts. @throws {Error} when the stream ends otherwise. */
  async run(): Promise<void> {
    const { signal, wishes } = this.#read;
    const ask = async () => {
      const answer = await this.#attempt.fetch(
        'sse',
        { ...queryOf(wishes), envelope: 1 },
        {
          signal,
          headers: { accept: TYPE },
        },
      );
      if (answer.status !== 200) throw await refusalOf(answer);
      return answer;
    };
    const response = await this.#attempt.within(OPEN_MS_MAX, NO_ANSWER, ask());
    const type = typeOf(response);
    if (!type.toLowerCase().startsWith(TYPE) || response.body === null) {
      throw new CodedError('bad_request', `expected ${TYPE}, got ${type || 'nothing'}`);
    }
    const source = response.body.getReader();
    const { clock } = this.#attempt.platform;
    const openByMs = clock.monotonicMs() + OPEN_MS_MAX;
    while (!signal.aborted) {
      const piece = source.read();
      const { done, value } = await (this.#hasOpened
        ? this.#attempt.within(SILENCE_MS_MAX, 'the stream fell silent', piece)
        : this.#attempt.within(openByMs - clock.monotonicMs(), 'no event in time', piece));
      if (done) throw new CodedError('unavailable', 'the stream ended');
      this.#take(value);
      // Not reading on is all the back-pressure that is needed: the server's cursor stops.
      await this.#attempt.sink.room();
    }
  }

  #take(piece: Uint8Array): void {
    const { signal } = this.#read;
    this.#read.heardMs = this.#attempt.platform.clock.monotonicMs();
    const hadOpened = this.#hasOpened;
    const items = this.#parser.push(piece);
    for (const item of items) {
      if (signal.aborted) return;
      if (item.kind === 'retry') this.#attempt.hint = { notBeforeMs: item.ms };
      else this.#onEvent(item.type, item.data, item.id);
    }
    this.#follow(this.#parser.id, false);
    // An event behind the opening may be the state of a channel, which comes once: it is not cut off.
    const isWhole = this.#parser.isBetweenEvents || (hadOpened && items.length > 0);
    if (!this.#hasOpened || this.#hasSettled || !isWhole) return;
    this.#hasSettled = true;
    this.#read.settled();
  }

  #onEvent(type: string, data: string, id: string): void {
    const { sink, target } = this.#attempt;
    const { keys } = this.#read;
    if (type === 'open') {
      this.#open(parseObject(data) ?? {}, id);
    } else if (type === 'gap') {
      const fields = parseObject(data) ?? {};
      const { channel, position } = known(fields, 'string', ['channel', 'position']);
      const gap = toGap(fields['gap']);
      if (channel !== undefined && position !== undefined && gap !== undefined) {
        sink.onGap({ kind: 'gap', channel, gap, position }, keys);
      }
    } else if (type === 'close') {
      const fields = parseObject(data) ?? {};
      const code = toCode(fields['code'], 'unavailable');
      throw new CodedError(code, 'said by the server', known(fields, 'number', ['retryAfter']));
    } else if (type === 'snapshot') {
      const { fields, source } = target.encoding.eventOf(data);
      const snapshot = toSnapshot(fields, source);
      if (snapshot !== undefined) sink.onSnapshot(snapshot);
    } else if (PRESENCE.has(type)) {
      const event = toPresence(type, parseObject(data) ?? {});
      if (event !== undefined) sink.onPresence(event);
    } else if (type !== 'error') {
      const { fields, source } = target.encoding.eventOf(data);
      const message = toMessage(fields, source);
      if (message === undefined) throw new CodedError('internal', 'an event that is no message');
      sink.onMessage(message, keys);
    }
    this.#follow(id, true);
  }

  #open(fields: Frame['fields'], id: string): void {
    const positions = asObject(fields['positions']);
    if (positions === undefined)
      throw new CodedError('bad_request', 'an opening without positions');
    this.#hasOpened = true;
    this.#id = id;
    this.#read.opened(known(fields, 'string', ['session']));
    const { wishes, places, signal } = this.#read;
    for (const { key, filter } of wishes) {
      if (signal.aborted) return;
      // Where no mark can be said the one before stays good.
      const mark = id || places.get(filter);
      this.#attempt.sink.onOpen(openingOf(filter, fields, positions[filter], mark), key);
    }
    const gaps = asObject(fields['gaps']) ?? {};
    const begun = wishes.filter(({ after }) => after !== undefined);
    tellGaps(this.#attempt.sink, gaps, new Map(Object.entries(positions)), begun, signal);
  }

  /**
   * Goes on to the last id. It says where a stream of several channels stands, and for one channel
   * what was left out, if it comes without an event [SSE-10].
   */
  #follow(id: string, hasEvent: boolean): void {
    const { keys, only, signal } = this.#read;
    if (id === this.#id || signal.aborted) return;
    this.#id = id;
    if (only === undefined) {
      if (id.startsWith('~')) this.#attempt.sink.onMark(keys, id);
    } else if (!hasEvent) this.#attempt.sink.onExpired(only, id);
  }
}
