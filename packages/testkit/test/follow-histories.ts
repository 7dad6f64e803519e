/** Words to write histories with of those who follow patterns. */
import type { Gap } from '@trunkline/wire';
import type { EndedEvent, LostEvent, MarkedEvent } from '../src/follow-history.ts';
import type { History, HistoryEvent } from '../src/history.ts';
import { acknowledged, at, log, publish } from './histories.ts';

/** The session of a history that has one. */
export const SESSION = { step: 0, session: 'w1' } as const;

/** A session asks for channels and patterns, and is answered. */
export function follows(
  subscription: string,
  starts: Record<string, { after?: string; last?: number }>,
  more: {
    session?: string;
    muted?: boolean;
    recovered?: boolean;
    /** Filters that lost something, whatever the others did. */
    lossy?: readonly string[];
    position?: string;
    epoch?: string;
    top?: number;
  } = {},
): HistoryEvent[] {
  const { session = 'w1', muted = false, recovered, position, epoch = 'e', top = 0 } = more;
  const { lossy = [] } = more;
  const stream = { epoch: top === 0 ? '0' : epoch, oldest: 1, top };
  const head = { asked: stream, answered: stream, comparable: true };
  const verdict = {
    ...(recovered === undefined ? {} : { recovered }),
    ...(recovered === false ? { gap: { reason: 'epoch' } as const } : {}),
    ...(position === undefined ? {} : { position: at(position) }),
  };
  const loss = { recovered: false, gap: { reason: 'trimmed' } as const };
  const verdicts = Object.keys(starts).map(
    (filter) => [filter, lossy.includes(filter) ? loss : verdict] as const,
  );
  return [
    {
      ...{ kind: 'ask', step: 0, session, subscription, reader: 'f1', user: 'ann', muted },
      starts: new Map(Object.entries(starts)),
    },
    {
      ...{ kind: 'following', step: 0, session, subscription, transport: 'websocket' },
      verdicts: new Map(verdicts),
      heads: new Map([['news', head]]),
    },
  ];
}

/** A message is given. */
export function given(
  position: string,
  more: { session?: string; isOwn?: boolean } = {},
): HistoryEvent {
  const { session = 'w1', isOwn = false } = more;
  const { epoch, offset } = at(position);
  const times = { sentMs: 100, storedMs: 50 };
  const message = { channel: 'news', epoch, offset, payload: `m${offset}` };
  return { kind: 'given', step: 0, session, ...message, isOwn, ...times };
}

/** A subscription is given up. */
export function left(subscription: string): HistoryEvent[] {
  return (['leaving', 'left'] as const).map((kind) => ({ ...SESSION, kind, subscription }));
}

/** A mark is told. @param life which one the log had by then. */
export function marked(subscription: string, mark: string, life?: string): MarkedEvent {
  const lives = life === undefined ? {} : { lives: new Map([['news', life]]) };
  return { ...SESSION, kind: 'marked', subscription, mark, ...lives };
}

/** Messages are told to be over. */
export function lapsed(from: number, to: number, sentMs = 100): HistoryEvent {
  return { ...SESSION, kind: 'lapsed', channel: 'news', epoch: 'e', from, to, sentMs };
}

/** A loss is told. */
export function lost(position: string, gap: Gap = { reason: 'epoch' }): LostEvent {
  return { ...SESSION, kind: 'lost', channel: 'news', gap, position: at(position) };
}

/** A message of a volatile channel. */
export function passing(payload: string): HistoryEvent {
  return { ...SESSION, kind: 'passing', channel: 'now', payload };
}

/** The session is over. */
export const ended: EndedEvent = { ...SESSION, kind: 'ended' };
/** Three messages, acknowledged. */
export const published = ['m1', 'm2', 'm3'].flatMap((payload, index) => [
  publish(payload),
  acknowledged(payload, `e:${index + 1}`),
]);
/** The log that holds all three at the end. */
export const whole: Partial<History> = { logs: log('e:1', ['m1', 'm2', 'm3']) };
