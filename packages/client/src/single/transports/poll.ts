/** Poll: the same read again and again, patient (long polling) or not (short polling). */
import { CodedError, isWildcard, memberSource } from '@trunkline/wire';
import { acceptOf, answerOf } from '../binary.ts';
import type { Answer } from '../binary.ts';
import { endingOf } from '../../ending.ts';
import type { Ending } from '../../ending.ts';
import { asObject, parseObject, toOpening, toSnapshot } from '../../events.ts';
import type { OpenEvent, ReceivedMessage, SnapshotEvent } from '../../events.ts';
import { addressOf, networkError, refusalOf, tokenHeaders } from '../../http.ts';
import type { Platform } from '../../platform.ts';
import { Watchdog } from '../../watchdog.ts';
import { OPEN_MS_MAX, queryOf, SILENCE_GRACE_MS } from './transport.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** The longest wait that the server grants. [POLL-2] */
const WAIT_SECONDS_MAX = 60;

/** One answer. */
interface Page {
  readonly openings: readonly OpenEvent[];
  readonly messages: readonly ReceivedMessage[];
  readonly snapshots: readonly SnapshotEvent[];
  /** Where to go on: the position of one channel, or a mark. */
  readonly after: string | undefined;
  /** The session that presence knows. */
  readonly session: string | undefined;
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
  #session: string | undefined;

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
      for (const opening of page.openings) this.#sink.onOpen(opening);
      while (await this.#deliver(page)) page = await this.#askAgain(page);
    } catch (error) {
      this.#end(endingOf(networkError(error)));
    }
  }

  /** @returns false when the attempt ended meanwhile. */
  async #deliver(page: Page): Promise<boolean> {
    for (const snapshot of page.snapshots) this.#sink.onOther(snapshot);
    for (const message of page.messages) {
      if (this.#ended) return false;
      this.#sink.onMessage(message);
    }
    this.#after = page.after ?? this.#after;
    this.#session = page.session ?? this.#session;
    if (page.after?.startsWith('~')) this.#sink.onMark(this.#target.channels, page.after);
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
    for (const { channel, gap, position } of page.openings) {
      if (gap === undefined || position === undefined || this.#ended) continue;
      this.#sink.onGap({ kind: 'gap', channel, gap, position });
    }
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
      const { url, token, channels, encoding } = this.#target;
      const { after: _, ...target } = this.#target;
      const after = this.#after === undefined ? {} : { after: this.#after };
      const query = {
        ...queryOf({ ...target, ...after }),
        wait: waitSeconds,
        session: this.#session,
      };
      const response = await this.#platform.fetch(addressOf(url, 'http', 'poll', query), {
        headers: { accept: acceptOf(encoding), ...tokenHeaders(token) },
        cache: 'no-store',
        signal: this.#aborter.signal,
      });
      if (response.status !== 200) throw await refusalOf(response);
      return toPage(await answerOf(response), channels);
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

function toPage({ text, messages }: Answer, channels: readonly string[]): Page {
  const body = parseObject(text);
  const positions = asObject(body?.['positions']);
  if (body === undefined || positions === undefined) {
    throw new CodedError('bad_request', `expected the answer to a poll, got ${text.slice(0, 60)}`);
  }
  const [only = ''] = channels;
  const isOne = channels.length === 1 && !isWildcard(only);
  const { mark, session } = body;
  const openings = channels.map((channel) => openingOf(channel, body, messages, isOne));
  const position = positions[only];
  const after = isOne && typeof position === 'string' ? position : mark;
  return {
    openings,
    messages,
    snapshots: snapshotsOf(body, text),
    after: typeof after === 'string' ? after : undefined,
    session: typeof session === 'string' ? session : undefined,
    more: body['more'] === true,
  };
}

/** Where one of the channels stood before the messages. */
function openingOf(
  channel: string,
  body: Readonly<Record<string, unknown>>,
  messages: readonly ReceivedMessage[],
  isOne: boolean,
): OpenEvent {
  const of = (name: string): unknown => asObject(body[name])?.[channel];
  const first = messages.find((message) => message.channel === channel);
  const isLogged = first?.epoch !== undefined && first.offset !== undefined;
  const before = isLogged ? `${first.epoch}:${(first.offset ?? 1) - 1}` : of('positions');
  const listed = body['volatile'];
  const opening = toOpening(channel, {
    ...{ position: before, recovered: of('recovered'), gap: of('gaps') },
    mark: isOne ? undefined : body['mark'],
    volatile: Array.isArray(listed) && listed.includes(channel),
  });
  if (opening === undefined) throw new CodedError('bad_request', 'a poll without a position');
  return opening;
}

function snapshotsOf(
  body: Readonly<Record<string, unknown>>,
  text: string,
): readonly SnapshotEvent[] {
  const snapshots = asObject(body['snapshots']) ?? {};
  const sources = memberSource(text, 'snapshots') ?? '{}';
  return Object.entries(snapshots).flatMap(([channel, value]) => {
    const own = memberSource(sources, channel) ?? '{}';
    return toSnapshot({ ...asObject(value), channel }, memberSource(own, 'data')) ?? [];
  });
}
