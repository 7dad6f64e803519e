/** WebSocket: a session whose only commands are its subscribes. */
import { CodedError, isWildcard, matchesPattern } from '@trunkline/wire';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { toCode, toGap, toMessage, toOpening, toPresence, toSnapshot } from '../events.ts';
import { dataSource, Session } from '../session.ts';
import type { Frame, Reply } from '../session.ts';
import type { Platform } from '../platform.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** Receives over `GET /v1/ws`. The application's slowness is the subscription's to notice. */
export function openWebSocket(target: Target, sink: AttemptSink, platform: Platform): Attempt {
  let ended = false;
  const { channels, after } = target;
  const places = after === undefined ? undefined : placesOf(after, channels);
  const session: Session = new Session(
    target,
    { onWelcome: subscribeToAll, onPush, onEnd: end },
    platform,
  );

  function isWanted(channel: string): boolean {
    return channels.some((filter) => filter === channel || matchesPattern(filter, channel));
  }

  function subscribeToAll(): void {
    for (const channel of channels) {
      const members = subscribeMembers(target, channel, places?.get(channel));
      session.request(members, (reply) => onSubscribed(channel, reply));
    }
  }

  function onSubscribed(channel: string, reply: Reply): void {
    if (ended) return;
    if (!reply.ok) {
      end(endingOf(reply.error));
      return;
    }
    const { fields } = reply.frame;
    const opening = toOpening(channel, fields);
    if (opening === undefined) {
      end({ kind: 'lost', reason: 'the server subscribed without a position' });
      return;
    }
    sink.onOpen(opening);
    const present = 'members' in fields ? toPresence('presence', fields) : undefined;
    if (present !== undefined) sink.onOther(present);
  }

  function onPush(type: string, frame: Frame): void {
    const { fields } = frame;
    const { channel } = fields;
    if (ended || typeof channel !== 'string' || !isWanted(channel)) return;
    if (type === 'message') {
      const message = toMessage(fields, dataSource(frame));
      if (message !== undefined) sink.onMessage(message);
    } else if (type === 'snapshot') {
      const snapshot = toSnapshot(fields, dataSource(frame));
      if (snapshot !== undefined) sink.onOther(snapshot);
    } else if (type === 'unsubscribed') {
      const code = toCode(fields['code'], 'forbidden');
      end(endingOf(new CodedError(code, `the server ended the subscription to ${channel}`)));
    } else {
      onPlace(type, channel, fields);
    }
  }

  /** Pushes that move the place, and those that tell who is there. */
  function onPlace(type: string, channel: string, fields: Frame['fields']): void {
    const { position, mark, epoch, to } = fields;
    if (type === 'gap') {
      const gap = toGap(fields['gap']);
      if (gap !== undefined && typeof position === 'string') {
        sink.onGap({ kind: 'gap', channel, gap, position });
      }
    } else if (type === 'expired' && typeof epoch === 'string' && typeof to === 'number') {
      sink.onExpired(channel, `${epoch}:${to}`);
    } else if (type === 'mark' && typeof mark === 'string') {
      sink.onMark([channel], mark);
    } else {
      const present = toPresence(type, fields);
      if (present !== undefined) sink.onOther(present);
    }
  }

  function end(ending: Ending): void {
    if (ended) return;
    close();
    sink.onEnd(ending);
  }

  function close(): void {
    ended = true;
    session.close();
  }

  return { close };
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
