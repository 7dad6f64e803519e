/** Traffic: what a reader's messages cost on the way, and what carries them. */
import { formatSize } from './format.ts';
import type { Carrier } from './lines/line.ts';

/** What came so far, in the encoding of now; bytes as they are before compression. */
export interface Traffic {
  /** All that came: frames, stream or answers. */
  readonly bytes: number;
  readonly messages: number;
  /** The part of `bytes` that brought the messages. */
  readonly messageBytes: number;
  /** What came last and has brought no message yet. */
  readonly lastBytes: number;
  readonly carrier: Carrier;
}

/** Nothing yet. */
export const EMPTY_TRAFFIC: Traffic = {
  ...{ bytes: 0, messages: 0, messageBytes: 0, lastBytes: 0 },
  carrier: {},
};

/** Counts anew with another encoding, so that the two can be compared. */
export function carry(traffic: Traffic, carrier: Carrier): Traffic {
  const isOther = traffic.carrier.encoding !== carrier.encoding;
  return isOther ? { ...EMPTY_TRAFFIC, carrier } : { ...traffic, carrier };
}

/** A frame, a piece of a stream or an answer came. */
export function countBytes(traffic: Traffic, count: number): Traffic {
  return { ...traffic, bytes: traffic.bytes + count, lastBytes: count };
}

/** It brought a message. */
export function countMessage(traffic: Traffic): Traffic {
  return {
    ...traffic,
    messages: traffic.messages + 1,
    messageBytes: traffic.messageBytes + traffic.lastBytes,
    lastBytes: 0,
  };
}

/** `96 B each, HTTP/2, gzip`, as far as it is known. */
export function shortText({ messages, messageBytes, carrier }: Traffic, version: string): string {
  // The one extension that browsers have (RFC 7692).
  const compression = carrier.compression?.replace('permessage-', '');
  const each = messages === 0 ? '' : `${formatSize(messageBytes / messages)} each`;
  return [each, version, compression].filter(Boolean).join(', ');
}

/** The same in full, with all that came. */
export function longText({ bytes, messages, carrier }: Traffic, version: string): string {
  const { compression } = carrier;
  const received = `${formatSize(bytes)} received with ${String(messages)} messages`;
  const packed = compression ? `compressed by ${compression}` : 'not compressed';
  return [version, packed, received].filter(Boolean).join(', ');
}
