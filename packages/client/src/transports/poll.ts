/** Poll: the same read again and again, patient (long polling) or not (short polling). */
import { CodedError, parsePosition } from '@trunkline/wire';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { asObject, parseObject, toMessages, toOpening } from '../events.ts';
import type { ReceivedMessage, OpenEvent } from '../events.ts';
import { addressOf, networkError, refusalOf, textOf, tokenHeaders } from '../http.ts';
import type { Platform } from '../platform.ts';
import { Watchdog } from '../watchdog.ts';
import { OPEN_MS_MAX, SILENCE_GRACE_MS } from './transport.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** The longest wait that the server grants. [POLL-2] */
const WAIT_SECONDS_MAX = 60;

/** One answer. */
interface Page {
  readonly opening: OpenEvent;
  readonly messages: readonly ReceivedMessage[];
  /** After the messages. */
  readonly position: string;
  readonly more: boolean;
}

/** Receives over `GET /v1/poll`. */
export function openPoll(target: Target, sink: AttemptSink, platform: Platform): Attempt {
  const polling = new PollAttempt(target, sink, platform);
  // Every failure inside becomes an ending.
  void polling.run();
  return polling;
}

class PollAttempt implements Attempt {
  readonly #target: Target;
  readonly #sink: AttemptSink;
  readonly #platform: Platform;
  readonly #aborter = new AbortController();
  #ended = false;
  #after: string | undefined;

  constructor(target: Target, sink: AttemptSink, platform: Platform) {
    this.#target = target;
    this.#sink = sink;
    this.#platform = platform;
    this.#after = target.after;
  }

  close(): void {
    this.#ended = true;
    this.#aborter.abort();
  }

  async run(): Promise<void> {
    try {
      // The first question waits for nothing: its answer says where this subscription stands.
      let page = await this.#ask(0);
      if (this.#ended) return;
      this.#sink.onOpen(page.opening);
      while (await this.#deliver(page)) page = await this.#askAgain(page);
    } catch (error) {
      this.#end(endingOf(networkError(error)));
    }
  }

  /** @returns false when the attempt ended meanwhile. */
  async #deliver(page: Page): Promise<boolean> {
    for (const message of page.messages) {
      if (this.#ended) return false;
      this.#sink.onMessage(message);
    }
    this.#after = page.position;
    await this.#sink.room();
    return !this.#ended;
  }

  async #askAgain(last: Page): Promise<Page> {
    const { intervalMs } = this.#target;
    const waitSeconds = Math.min(
      Math.max(0, Math.floor(this.#target.waitSeconds)),
      WAIT_SECONDS_MAX,
    );
    if (!last.more && waitSeconds === 0) await this.#sleep(intervalMs);
    const askedMs = this.#platform.clock.monotonicMs();
    const page = await this.#ask(last.more ? 0 : waitSeconds);
    const { gap, position } = page.opening;
    if (gap !== undefined && !this.#ended) this.#sink.onGap({ kind: 'gap', gap, position });
    // A server that does not wait would be asked without end.
    const tookMs = this.#platform.clock.monotonicMs() - askedMs;
    const empty = page.messages.length === 0 && !last.more && !page.more;
    if (empty && waitSeconds > 0 && tookMs < intervalMs) await this.#sleep(intervalMs - tookMs);
    return page;
  }

  async #ask(waitSeconds: number): Promise<Page> {
    const limitMs = waitSeconds * 1000 + (waitSeconds === 0 ? OPEN_MS_MAX : SILENCE_GRACE_MS);
    const silence = new Watchdog(this.#platform.clock, limitMs, () =>
      this.#end({ kind: 'lost', reason: 'no answer in time' }),
    );
    try {
      const { url, channel, partial, token } = this.#target;
      const after = this.#after;
      const query = {
        channel,
        after,
        last: after === undefined ? this.#target.last : undefined,
        partial: partial === true ? 1 : undefined,
        wait: waitSeconds,
      };
      const response = await this.#platform.fetch(addressOf(url, 'http', 'poll', query), {
        headers: { accept: 'application/json', ...tokenHeaders(token) },
        cache: 'no-store',
        signal: this.#aborter.signal,
      });
      if (response.status !== 200) throw await refusalOf(response);
      return toPage(await textOf(response), channel);
    } finally {
      silence.stop();
    }
  }

  /** Resolves after the delay, or at once when the attempt is closed. */
  #sleep(delayMs: number): Promise<void> {
    const { signal } = this.#aborter;
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        timer.cancel();
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = this.#platform.clock.after(delayMs, wake);
      signal.addEventListener('abort', wake);
    });
  }

  #end(ending: Ending): void {
    if (this.#ended) return;
    this.close();
    this.#sink.onEnd(ending);
  }
}

function toPage(text: string, channel: string): Page {
  const body = parseObject(text);
  const position = asObject(body?.['positions'])?.[channel];
  if (body === undefined || typeof position !== 'string' || parsePosition(position) === undefined) {
    throw new CodedError('bad_request', `expected the answer to a poll, got ${text.slice(0, 60)}`);
  }
  const messages = toMessages(text);
  const first = messages[0];
  const before = first === undefined ? position : `${first.epoch}:${first.offset - 1}`;
  const recovered = asObject(body['recovered'])?.[channel];
  const opening = toOpening(before, recovered, asObject(body['gaps'])?.[channel]);
  if (opening === undefined) throw new CodedError('bad_request', 'a poll without a position');
  return { opening, messages, position, more: body['more'] === true };
}
