/** Network: what the machine tells of its network and its sleep, where it tells anything. */
import type { Features } from '../features.ts';
import type { Clock } from '../platform.ts';

/** How often it is looked whether the machine slept. */
const TICK_MS = 20_000;
/** A tick so late means sleep. Pages in the background get theirs up to a minute late. */
const LATE_MS = 65_000;

/** The part of a window, a worker or another global object that is used here. */
export interface NetworkTarget extends Partial<EventTarget> {
  readonly document?: EventTarget & { readonly visibilityState?: string };
}

/** What is told, each as often as the machine says so. None of it is certain. */
export interface NetworkHandlers {
  /** There is a network, or another one. */
  readonly onOnline: () => void;
  /** There is none; attempts would fail. */
  readonly onOffline: () => void;
  /** The page is looked at again, or runs again: what was open may be gone without a word. */
  readonly onWake: () => void;
  /** The page will not run for a while. */
  readonly onFreeze?: () => void;
}

/**
 * Listens to a global object; does nothing where it has no such events.
 *
 * @returns what stops it.
 */
export function watchNetwork(target: NetworkTarget, handlers: NetworkHandlers): () => void {
  const listening = new AbortController();
  const listen = (to: Partial<EventTarget> | undefined, type: string, task: EventListener) =>
    to?.addEventListener?.(type, task, { signal: listening.signal });
  const { document } = target;
  listen(target, 'online', () => handlers.onOnline());
  listen(target, 'offline', () => handlers.onOffline());
  // Out of the cache of pages that one goes back to.
  listen(target, 'pageshow', (event) => {
    if ((event as PageTransitionEvent).persisted) handlers.onWake();
  });
  listen(document, 'visibilitychange', () => {
    if (document?.visibilityState === 'visible') handlers.onWake();
  });
  listen(document, 'resume', () => handlers.onWake());
  listen(document, 'freeze', () => handlers.onFreeze?.());
  return () => listening.abort();
}

/**
 * Notices that the machine slept, from a tick that came much too late. Some systems stop the
 * monotonic time meanwhile, so Unix time is asked as well.
 *
 * @returns what stops it.
 */
export function watchSleep(clock: Clock, unixMs: () => number, onWake: () => void): () => void {
  const arm = () => {
    const monotonicMs = clock.monotonicMs();
    const startMs = unixMs();
    return clock.after(TICK_MS, () => {
      const tookMs = Math.max(clock.monotonicMs() - monotonicMs, unixMs() - startMs);
      timer = arm();
      if (tookMs > TICK_MS + LATE_MS) onWake();
    });
  };
  let timer = arm();
  return () => timer.cancel();
}

/** The feature: a line that hears of networks and sleep. */
export const network: NonNullable<Features['network']> = ({ clock, unixMs }, handlers) => {
  const unwatch = watchNetwork(globalThis, handlers);
  const unwatchSleep = watchSleep(clock, unixMs, () => handlers.onWake());
  return () => {
    unwatch();
    unwatchSleep();
  };
};
