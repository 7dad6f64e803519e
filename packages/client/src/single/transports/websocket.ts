/** WebSocket: a session whose only commands are its subscribes. */
import { CodedError, isWildcard, matchesPattern } from '@trunkline/wire';
import { endingOf } from '../../ending.ts';
import type { Ending } from '../../ending.ts';
import { toCode, toGap, toMessage, toOpening, toPresence, toSnapshot } from '../../events.ts';
import { dataSource, Session } from '../session.ts';
import type { Frame, Reply } from '../session.ts';
import type { Platform } from '../../platform.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** Receives over `GET /v1/ws`. The application's slowness is the subscription's to notice. */
export function openWebSocket(target: Target, sink: AttemptSink, platform: Platform): Attempt {
  return new WebSocketAttempt(target, sink, platform);
}

class WebSocketAttempt implements Attempt {
  readonly #target: Target;
  readonly #sink: AttemptSink;
  readonly #session: Session;
  #ended = false;

  constructor(target: Target, sink: AttemptSink, platform: Platform) {
    this.#target = target;
    this.#sink = sink;
    const handlers = {
      onWelcome: () => this.#subscribeToAll(),
      onPush: (type: string, frame: Frame) => this.#onPush(type, frame),
      onEnd: (ending: Ending) => this.#end(ending),
    };
    this.#session = new Session(target, handlers, platform);
  }

  close(): void {
    this.#ended = true;
    this.#session.close();
  }

  #subscribeToAll(): void {
    const { channels, after } = this.#target;
    const places = after === undefined ? undefined : placesOf(after, channels);
    for (const channel of channels) {
      const members = subscribeMembers(this.#target, channel, places?.get(channel));
      this.#session.request(members, (reply) => this.#onSubscribed(channel, reply));
    }
  }

  #onSubscribed(channel: string, reply: Reply): void {
    if (this.#ended) return;
    if (!reply.ok) {
      this.#end(endingOf(reply.error));
      return;
    }
    const { fields } = reply.frame;
    const opening = toOpening(channel, fields);
    if (opening === undefined) {
      this.#end({ kind: 'lost', reason: 'the server subscribed without a position' });
      return;
    }
    this.#sink.onOpen(opening);
    const present = 'members' in fields ? toPresence('presence', fields) : undefined;
    if (present !== undefined) this.#sink.onOther(present);
  }

  #onPush(type: string, frame: Frame): void {
    const { fields } = frame;
    const { channel } = fields;
    if (this.#ended || typeof channel !== 'string' || !this.#isWanted(channel)) return;
    if (type === 'message') {
      const message = toMessage(fields, dataSource(frame));
      if (message !== undefined) this.#sink.onMessage(message);
    } else if (type === 'snapshot') {
      const snapshot = toSnapshot(fields, dataSource(frame));
      if (snapshot !== undefined) this.#sink.onOther(snapshot);
    } else if (type === 'unsubscribed') {
      const code = toCode(fields['code'], 'forbidden');
      const message = `the server ended the subscription to ${channel}`;
      this.#end(endingOf(new CodedError(code, message)));
    } else {
      this.#onPlace(type, channel, fields);
    }
  }

  /** Pushes that move the place, and those that tell who is there. */
  #onPlace(type: string, channel: string, fields: Frame['fields']): void {
    const { position, mark, epoch, to } = fields;
    if (type === 'gap') {
      const gap = toGap(fields['gap']);
      if (gap !== undefined && typeof position === 'string') {
        this.#sink.onGap({ kind: 'gap', channel, gap, position });
      }
    } else if (type === 'expired' && typeof epoch === 'string' && typeof to === 'number') {
      this.#sink.onExpired(channel, `${epoch}:${to}`);
    } else if (type === 'mark' && typeof mark === 'string') {
      this.#sink.onMark([channel], mark);
    } else {
      const present = toPresence(type, fields);
      if (present !== undefined) this.#sink.onOther(present);
    }
  }

  #isWanted(channel: string): boolean {
    const { channels } = this.#target;
    return channels.some((filter) => filter === channel || matchesPattern(filter, channel));
  }

  #end(ending: Ending): void {
    if (this.#ended) return;
    this.close();
    this.#sink.onEnd(ending);
  }
}

/** Each filter's place: its own where several have one, else the same for all. */
function placesOf(after: string, channels: readonly string[]): ReadonlyMap<string, string> {
  if (!after.includes('=')) return new Map(channels.map((channel) => [channel, after]));
  return new Map(new URLSearchParams(after));
}

function subscribeMembers(target: Target, channel: string, after: string | undefined): string {
  const { last, partial, presence, snapshot } = target;
  const isOne = !isWildcard(channel);
  const members = JSON.stringify({
    ...{ type: 'subscribe', channel, after, last, partial },
    ...(isOne ? { presence, snapshot } : {}),
  });
  return members.slice(1, -1);
}
