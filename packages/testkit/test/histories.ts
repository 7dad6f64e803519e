/** Words to write small histories with. */
import { parsePosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { HistoryEvent, OpenedEvent, PublishEvent, StreamLog } from '../src/history.ts';

export const CHANNEL = 'news';

export function at(text: string): Position {
  const position = parsePosition(text);
  if (position === undefined) throw new Error(`no position: ${text}`);
  return position;
}

export function publish(payload: string, more: Partial<PublishEvent> = {}): PublishEvent {
  return {
    kind: 'publish',
    step: 0,
    attempt: payload,
    connection: 'c1',
    user: 'ann',
    channel: CHANNEL,
    payload,
    atMs: 0,
    ...more,
  };
}

export function acknowledged(attempt: string, position: string): HistoryEvent {
  return { kind: 'acknowledged', step: 0, attempt, position: at(position) };
}

export function refused(attempt: string, stored: false | 'unknown'): HistoryEvent {
  return { kind: 'refused', step: 0, attempt, code: 'unavailable', stored };
}

export function opened(position: string, more: Partial<OpenedEvent> = {}): OpenedEvent {
  return {
    kind: 'opened',
    step: 0,
    subscription: 's1',
    reader: 'r1',
    channel: CHANNEL,
    transport: 'websocket',
    position: at(position),
    ...more,
  };
}

/** A message whose payload is named after its offset, unless said otherwise. */
export function message(
  position: string,
  more: { subscription?: string; payload?: string } = {},
): HistoryEvent {
  const { epoch, offset } = at(position);
  const { subscription = 's1', payload = `m${offset}` } = more;
  return { kind: 'message', step: 0, subscription, epoch, offset, payload };
}

export function gap(
  position: string,
  reason: 'trimmed' | 'epoch',
  range: { from?: number; to?: number } = {},
): HistoryEvent {
  return {
    kind: 'gap',
    step: 0,
    subscription: 's1',
    gap: { reason, ...range },
    position: at(position),
  };
}

export function reached(position: string): HistoryEvent {
  return { kind: 'reached', step: 0, subscription: 's1', position: at(position) };
}

export const closed: HistoryEvent = { kind: 'closed', step: 0, subscription: 's1' };
export const purged: HistoryEvent = { kind: 'purged', step: 0, channel: CHANNEL };

export function log(first: string, payloads: readonly string[]): ReadonlyMap<string, StreamLog> {
  const { epoch, offset: oldest } = at(first);
  const entries = payloads.map((payload, index): [number, string] => [oldest + index, payload]);
  return new Map([
    [CHANNEL, { epoch, oldest, top: oldest + payloads.length - 1, payloads: new Map(entries) }],
  ]);
}
