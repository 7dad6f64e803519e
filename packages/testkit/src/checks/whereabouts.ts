/** Whereabouts: where a reader stands in a channel, as exactly as its history tells. */
import { ORIGIN } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { ChannelHead } from '../follow-history.ts';

/** It stands at one of these offsets of one life of the stream. */
export interface Whereabouts {
  readonly epoch: string;
  readonly from: number;
  readonly to: number;
}

/** Exactly here. */
export function exactly({ epoch, offset }: Position): Whereabouts {
  return { epoch, from: offset, to: offset };
}

/** One of two places, nobody can tell which: what was given need not be given again. */
export function eitherOf(
  asked: Whereabouts | undefined,
  given: Whereabouts | undefined,
): Whereabouts | undefined {
  if (asked === undefined || given === undefined) return asked;
  // Before the first message any life may begin.
  if (asked.epoch !== given.epoch)
    return asked.epoch === ORIGIN.epoch ? { ...given, from: 0 } : asked;
  const from = Math.min(asked.from, given.from);
  return { epoch: asked.epoch, from, to: Math.max(asked.to, given.to) };
}

/**
 * Where one stands who begins anew and goes on for others from where it stood: that may be in a life
 * that is over, and so before the first message of the one in which it begins.
 */
export function anewFrom(
  asked: Whereabouts | undefined,
  stood: Whereabouts | undefined,
): Whereabouts | undefined {
  const isOver = asked !== undefined && stood !== undefined && !isSameLife(stood, asked.epoch);
  return isOver ? { ...asked, from: 0 } : eitherOf(asked, stood);
}

/** The position, where there is only one. */
export function positionIn(where: Whereabouts | undefined): Position | undefined {
  if (where === undefined || where.from !== where.to) return undefined;
  return { epoch: where.epoch, offset: where.from };
}

/** True when both can be of one life; before the first message any life may begin. */
export function isSameLife(where: Whereabouts, epoch: string): boolean {
  return where.epoch === epoch || where.epoch === ORIGIN.epoch;
}

/** True when `a` certainly stands before `b`. */
export function isBefore(a: Whereabouts, b: Whereabouts): boolean {
  return a.epoch === b.epoch && a.to < b.from;
}

/** True when `a` may stand before `b`. */
export function mayBeBefore(a: Whereabouts | undefined, b: Whereabouts | undefined): boolean {
  if (a === undefined || b === undefined || a.epoch !== b.epoch) return true;
  return a.from < b.to;
}

/**
 * Where one stands who begins with what comes from now on. What is being read of the log just then
 * may come as well, though others were told of it before.
 */
export function nowIn({ asked, answered }: ChannelHead): Whereabouts | undefined {
  const { epoch, top } = answered;
  if (asked.epoch !== epoch && asked.epoch !== ORIGIN.epoch) return undefined;
  return { epoch, from: 0, to: top };
}

/** Where one stands who begins with the oldest message that is retained. */
export function startOf({ asked, answered }: ChannelHead): Whereabouts | undefined {
  const { epoch, oldest } = answered;
  if (asked.epoch !== epoch && asked.epoch !== ORIGIN.epoch) return undefined;
  const before = asked.epoch === epoch ? asked.oldest : 1;
  // Where the time of day went back, what was too old is not any more.
  return { epoch, from: Math.min(before, oldest) - 1, to: Math.max(before, oldest) - 1 };
}

/** In words. */
export function wordsFor(where: Whereabouts | undefined): string {
  if (where === undefined) return 'an unknown place';
  const { epoch, from, to } = where;
  return from === to ? `${epoch}:${from}` : `${epoch}:${from} to ${to}`;
}
