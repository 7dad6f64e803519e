/** WebSocket: a session whose only command is one subscribe. */
import { CodedError } from '@trunkline/wire';
import { endingOf } from '../ending.ts';
import type { Ending } from '../ending.ts';
import { toCode, toGap, toMessage, toOpening } from '../events.ts';
import { dataSource, Session } from '../session.ts';
import type { Frame, Reply } from '../session.ts';
import type { Platform } from '../platform.ts';
import type { Attempt, AttemptSink, Target } from './transport.ts';

/** Receives over `GET /v1/ws`. The application's slowness is the subscription's to notice. */
export function openWebSocket(target: Target, sink: AttemptSink, platform: Platform): Attempt {
  let ended = false;
  const session: Session = new Session(
    target,
    {
      onWelcome: () => session.request(subscribeMembers(target), onSubscribed),
      onPush,
      onEnd: end,
    },
    platform,
  );

  function onSubscribed(reply: Reply): void {
    if (ended) return;
    if (!reply.ok) {
      end(endingOf(reply.error));
      return;
    }
    const { position, recovered, gap } = reply.frame.fields;
    const opening = toOpening(position, recovered, gap);
    if (opening !== undefined) sink.onOpen(opening);
    else end({ kind: 'lost', reason: 'the server subscribed without a position' });
  }

  function onPush(type: string, frame: Frame): void {
    const { fields } = frame;
    if (ended || fields['channel'] !== target.channel) return;
    if (type === 'message') {
      const message = toMessage(fields, dataSource(frame));
      if (message !== undefined) sink.onMessage(message);
    } else if (type === 'gap') {
      const gap = toGap(fields['gap']);
      const position = fields['position'];
      if (gap !== undefined && typeof position === 'string') {
        sink.onGap({ kind: 'gap', gap, position });
      }
    } else if (type === 'unsubscribed') {
      const code = toCode(fields['code'], 'forbidden');
      end(endingOf(new CodedError(code, 'the server ended the subscription')));
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

function subscribeMembers(target: Target): string {
  const { channel, after, last, partial } = target;
  const members = JSON.stringify({ type: 'subscribe', channel, after, last, partial });
  return members.slice(1, -1);
}
