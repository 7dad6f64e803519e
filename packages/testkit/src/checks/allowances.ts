/**
 * Allowances: what a session may be given once more, because a subscription asks for it from
 * further back than the one that delivers the channel.
 */
import type { Position } from '@trunkline/wire';
import { asksBack } from './session-state.ts';
import type { Allowance, SessionState, View } from './session-state.ts';
import { exactly, isBefore, mayBeBefore } from './whereabouts.ts';
import type { Whereabouts } from './whereabouts.ts';

/** Of what is not answered yet nobody knows where it begins: it may be given anything again. */
export function allowPending(session: SessionState, channel: string, view: View): void {
  for (const following of session.subscriptions.values()) {
    const isPending = following.answered === undefined && asksBack(following, channel);
    if (isPending) allow(view, following.name, undefined, true);
  }
}

/** A subscription that another one delivers for may have what it asked for from further back. */
export function allow(
  view: View,
  subscription: string,
  place: Whereabouts | undefined,
  isAsked: boolean,
  mutes: readonly string[] = [],
): void {
  // It may have been given what it asked for before it was answered.
  if (!isAsked || view.used.has(subscription)) return;
  const known = view.allowances.find((allowance) => allowance.subscription === subscription);
  const { begin } = view;
  const isOwed = place !== undefined && begin !== undefined && isBefore(place, begin);
  const owedTo = isOwed ? begin.from : undefined;
  if (known !== undefined) Object.assign(known, { place, owedTo, mutes });
  else view.allowances.push({ subscription, place, owedTo, mutes });
}

/** It was told that its life of the channel is over and where it goes on: all after that may come. */
export function allowTold(view: View, subscription: string, place: Whereabouts): void {
  allow(view, subscription, place, true);
  const told = view.allowances.find((allowance) => allowance.subscription === subscription);
  if (told !== undefined) told.isTold = true;
}

/**
 * Takes an allowance to be given again what comes after a place: the one that may come closest to
 * it from before.
 *
 * @returns where that asked to begin, or the place where nobody knows.
 */
export function goesBack(view: View, place: Position): Whereabouts | undefined {
  const { begin } = view;
  const here = exactly(place);
  let best: Allowance | undefined;
  for (const allowance of view.allowances) {
    const { place: asked, isTold = false } = allowance;
    // All of this life comes after what was of another one.
    const mayBegin =
      asked === undefined || asked.epoch !== place.epoch || asked.from <= place.offset;
    if (!mayBegin || !(isTold || mayBeBefore(asked, begin))) continue;
    if (best === undefined || reachTo(asked, place) > reachTo(best.place, place)) best = allowance;
  }
  if (best === undefined) return undefined;
  view.used.add(best.subscription);
  const isOther = best.place !== undefined && best.place.epoch !== place.epoch;
  const from = isOther ? { epoch: place.epoch, from: 0, to: 0 } : (best.place ?? here);
  // Others that asked for no more than that have it now as well.
  const reached = exactly({ epoch: place.epoch, offset: Math.min(from.to, place.offset) });
  view.allowances = view.allowances.filter(
    ({ place: asked }) => asked !== undefined && isBefore(asked, reached),
  );
  // What comes after the place comes again by now, whoever had asked for it.
  for (const allowance of view.allowances) {
    const { owedTo, place: asked } = allowance;
    const isOwed = owedTo !== undefined && asked?.epoch === place.epoch;
    if (isOwed) allowance.owedTo = Math.min(owedTo, place.offset);
  }
  view.begin = { ...here, from: Math.min(here.from, from.from) };
  return from;
}

/** How far towards a place one may stand who asked to begin at one that is not behind it. */
function reachTo(asked: Whereabouts | undefined, { epoch, offset }: Position): number {
  if (asked === undefined) return -1;
  return asked.epoch === epoch ? Math.min(asked.to, offset) : 0;
}
