/**
 * Codec of the event stream: messages and the server's own events as `text/event-stream` (WHATWG
 * HTML §9.2) has them.
 */
import {
  decodeUtf8,
  encodeBase64,
  encodeMessage,
  formatPosition,
  oneLine,
  payloadKind,
} from '@trunkline/wire';
import type { Draft, Gap, Position } from '@trunkline/wire';
import type { Encoding } from '../../hub/hub-types.ts';

/** One channel: `id:` is the position, `event:` the message's event, `data:` the payload. */
export const eventStream: Encoding = {
  name: 'eventstream',
  text: true,
  encode(runs) {
    let text = '';
    for (const { epoch, messages, expired } of runs) {
      // An event without data is not dispatched, but its id is remembered (WHATWG HTML §9.2.6).
      if (expired !== undefined) text += `id: ${epoch}:${expired.to}\n\n`;
      for (const message of messages) {
        if (epoch !== '') text += `id: ${epoch}:${message.offset}\n`;
        text += `${payloadLines(message)}\n`;
      }
    }
    return Buffer.from(text, 'utf8');
  },
};

/** Several channels: `data:` is the message as an object, and the last has a mark as its `id:`. */
export const eventStreamOfMany: Encoding = {
  name: 'eventstream of many',
  text: true,
  encode(runs, mark) {
    let text = '';
    const last = runs.at(-1)?.messages.at(-1);
    for (const { channel, epoch, messages } of runs) {
      for (const message of messages) {
        if (message === last && mark !== undefined) text += `id: ${mark}\n`;
        const data = encodeMessage(channel, epoch, message, false);
        text += `${eventLine(message.event)}data: ${data}\n\n`;
      }
    }
    if (last === undefined && mark !== undefined) text += `id: ${mark}\n\n`;
    return Buffer.from(text, 'utf8');
  },
};

/** `event:` and `data:` lines of one message. */
function payloadLines(message: Draft): string {
  const { payload, contentType, event } = message;
  const kind = payloadKind(contentType);
  if (kind !== 'bytes') {
    const text = decodeUtf8(payload);
    // A carriage return would end the line, so text that has one travels as bytes.
    if (text !== undefined && (kind === 'json' || !text.includes('\r'))) {
      const lines = kind === 'json' ? [oneLine(text)] : text.split('\n');
      return `${eventLine(event)}${lines.map((line) => `data: ${line}\n`).join('')}`;
    }
  }
  return `event: bytes:${event ?? 'message'}\ndata: ${encodeBase64(payload)}\n`;
}

function eventLine(event: string | undefined): string {
  return event === undefined ? '' : `event: ${event}\n`;
}

/** The first event: where the stream stands, before its messages. */
export function openEvent(opening: {
  readonly session: string;
  readonly channel: string;
  readonly position: Position;
  readonly recovered?: boolean;
  readonly gap?: Gap;
  readonly retryMs: number;
}): string {
  const { session, channel, recovered, gap, retryMs } = opening;
  const position = formatPosition(opening.position);
  const data = JSON.stringify({
    session,
    positions: { [channel]: position },
    recovered: recovered === undefined ? {} : { [channel]: recovered },
    gaps: gap === undefined ? {} : { [channel]: gap },
  });
  return `retry: ${retryMs}\nid: ${position}\nevent: open\ndata: ${data}\n\n`;
}

/** Messages are lost to this stream, which goes on after `position`. */
export function gapEvent(channel: string, gap: Gap, position: Position): string {
  const place = formatPosition(position);
  return `id: ${place}\nevent: gap\ndata: ${JSON.stringify({ channel, gap, position: place })}\n\n`;
}
