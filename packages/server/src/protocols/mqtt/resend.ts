/**
 * Resend: what a session was sent over an earlier connection and has not acknowledged, sent again with
 * the same packet identifiers and in the same order ([MQTT-4.4.0-1], [MQTT-4.6.0-1]). The messages are
 * read from the log.
 */
import type { Message } from '@trunkline/wire';
import type { Identity } from '../../auth/identity.ts';
import type { Hub } from '../../hub/hub.ts';
import { encode } from './codec/encode.ts';
import type { Delivery } from './delivery.ts';
import { toPublication } from './encoding.ts';
import type { Form } from './encoding.ts';
import type { Sent, Window } from './window.ts';

/** What is needed to send again. */
export interface ResendParts {
  readonly hub: Hub;
  readonly identity: Identity;
  readonly window: Window;
  readonly delivery: Delivery;
  readonly nowMs: number;
  /** How a message of this channel is sent now. */
  formFor(channel: string): Form;
}

/** Sends all of the window again. */
export async function resend(parts: ResendParts): Promise<void> {
  const { hub, window, delivery } = parts;
  const sent = [...window.sent()];
  const wanted = sent.filter(({ awaited }) => awaited !== 'pubcomp').map(({ place }) => place);
  const messages = await hub.messagesAt(parts.identity, wanted);
  const found = new Map(wanted.map((place, index) => [place, messages[index]]));
  const pieces: Uint8Array[] = [];
  for (const one of sent) {
    const piece = again(parts, one, found.get(one.place));
    if (piece !== undefined) pieces.push(piece);
    // It can't be sent any more: retention has removed it, or its time is over.
    else window.forget(one.packetId);
  }
  if (pieces.length > 0) delivery.send(Buffer.concat(pieces), false);
}

function again(
  { delivery, formFor, nowMs }: ResendParts,
  { packetId, awaited, place }: Sent,
  message: Message | undefined,
): Uint8Array | undefined {
  const form = formFor(place.channel);
  if (awaited === 'pubcomp') {
    return encode({ kind: 'pubrel', packetId, reason: 0, properties: {} }, form.version);
  }
  if (message === undefined) return undefined;
  // What it was sent with holds, whatever was asked for since.
  const qos = awaited === 'puback' ? 1 : 2;
  const { frame } = toPublication(place, message, { ...form, qos }, { nowMs });
  return frame.shared.qos !== qos || delivery.isTooLarge(frame)
    ? undefined
    : delivery.packet(frame, packetId, true);
}
