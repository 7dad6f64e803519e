/** Reads what the server tells, the same on every transport, as a line's own words. */
import { CODES, isCodeName, parsePosition, payloadKind } from '@trunkline/wire';
import type { Gap, PayloadKind, Position, WireMessage } from '@trunkline/wire';
import type { LineMessage, Verdict } from './line.ts';

/** A message object as it came, ready to be shown. */
export function toLineMessage(message: WireMessage): LineMessage {
  const { offset = 0, epoch = '', time, event, contentType } = message;
  const kind = message.bytes === undefined ? payloadKind(contentType) : 'bytes';
  return {
    position: { epoch, offset },
    kind,
    payload: message.bytes ?? textOf(message.data, kind),
    time,
    ...(event === undefined ? {} : { event }),
  };
}

/**
 * What the answer to an `after` means. Doubt counts as loss: only a clear `recovered` is one.
 *
 * @param at where the cursor stands before the messages that follow, as far as it was told.
 */
export function toVerdict(
  after: string | undefined,
  at: Position | undefined,
  recovered: boolean | undefined,
  gap: Gap | undefined,
): Verdict {
  if (gap !== undefined) return { kind: 'gap', gap, at };
  if (at === undefined) return { kind: 'gap', gap: { reason: 'unknown' }, at };
  if (after === undefined) return { kind: 'started', at };
  if (recovered !== true) return { kind: 'gap', gap: { reason: 'unknown' }, at };
  return { kind: 'recovered', from: parsePosition(after) ?? at };
}

/** True when a code says that the same input may work later; unknown codes may. */
export function isTemporary(code: unknown): boolean {
  return !isCodeName(code) || CODES[code].temporary;
}

/** The one entry of a record by channel, whatever came. */
export function entryOf(record: unknown, channel: string): unknown {
  if (typeof record !== 'object' || record === null || !Object.hasOwn(record, channel)) {
    return undefined;
  }
  return (record as Readonly<Record<string, unknown>>)[channel];
}

/** A position from untrusted input. */
export function positionOf(value: unknown): Position | undefined {
  return typeof value === 'string' ? parsePosition(value) : undefined;
}

/** A gap from untrusted input; without a known shape its reason is `unknown`. */
export function gapOf(value: unknown): Gap | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return 'reason' in value && typeof value.reason === 'string'
    ? (value as Gap)
    : { reason: 'unknown' };
}

function textOf(data: unknown, kind: PayloadKind): string {
  return kind === 'text' && typeof data === 'string' ? data : JSON.stringify(data ?? null);
}
