/** Shared transport: the way of a tab to the host of the shared connection, wherever that one is. */
import type { Platform } from '../platform.ts';
import type { Target, Transport } from '../transports/transport.ts';
import { SharedAttempt } from './attempt.ts';
import type { Locks } from './election.ts';
import { holdLock } from './election.ts';
import { TabHost } from './host.ts';
import { groupOf } from './port.ts';
import type { Port } from './port.ts';
import { broadcastPort, messagePort } from './ports.ts';
import type { MessagePortLike } from './ports.ts';
import { Seat } from './seat.ts';
import type { Dialing, DialHandlers } from './seat.ts';
import { TokenDesk } from './token-desk.ts';
import type { OpenUpstream } from './upstream.ts';

/** The part of `SharedWorker` that is used here. */
export interface WorkerLike extends EventTarget {
  readonly port: MessagePortLike;
}

/** How tabs find the connection that they share. */
export interface ShareOptions {
  /**
   * Tabs of one origin that give the same name to the same server share, and are one user to it:
   * where users may change, the user belongs into the name. Empty if absent.
   */
  readonly name?: string;
  /**
   * Has the connection in a worker, whose script is `@trunkline/client/worker`. Without it one of
   * the tabs has it.
   *
   * @param name what the worker must be named, so that only tabs that may share do.
   */
  readonly worker?: (name: string) => WorkerLike;
}

/** What a shared transport takes from outside. */
export interface SharedParts extends ShareOptions {
  /** Makes the connection, in the tab that leads. */
  readonly openUpstream: OpenUpstream;
  /** Gives a fresh token when the shared connection needs one. */
  readonly onTokenWanted?: () => string | undefined | Promise<string | undefined>;
  /** `navigator.locks` unless given. */
  readonly locks?: Locks;
  /** Channels by name; `BroadcastChannel` unless given. */
  readonly openChannel?: (name: string) => Port;
  /** Tells `pagehide`; the global object unless given. */
  readonly page?: Partial<EventTarget>;
}

/** A transport named `shared`, made of these parts. */
export function transportOf(parts: SharedParts): Transport {
  const seats = new Map<string, Place>();
  return {
    name: 'shared',
    fault: () => faultOf(parts),
    open(target, sink, platform) {
      const group = groupOf(target, parts.name ?? '');
      const { onTokenWanted } = parts;
      const { clock, random } = platform;
      return new SharedAttempt(sink, {
        ...{ group, target, clock, random },
        ...(onTokenWanted === undefined ? {} : { onTokenWanted }),
        dial(handlers) {
          if (parts.worker !== undefined) return dialWorker(parts, group, idOf(platform), handlers);
          const place = seats.get(group) ?? createPlace(parts, group, target, platform);
          seats.set(group, place);
          place.target = target;
          return place.seat.dial(handlers);
        },
      });
    },
  };
}

/** A seat, and the newest target that was dialed from it: its token is the freshest. */
interface Place {
  readonly seat: Seat;
  target: Target;
}

function faultOf({ worker, locks, openChannel }: SharedParts): string | undefined {
  if (worker !== undefined) return undefined;
  if ((locks ?? ownLocks()) === undefined) return 'Web Locks are only in secure contexts';
  if (openChannel === undefined && typeof BroadcastChannel !== 'function') {
    return 'there is no BroadcastChannel here';
  }
  return undefined;
}

/** The browser's locks; absent outside secure contexts. */
export function ownLocks(): Locks | undefined {
  return (globalThis.navigator as { readonly locks?: Locks } | undefined)?.locks;
}

/** A name that nobody else has; over a hundred random bits. */
export function idOf({ random }: Pick<Platform, 'random'>): string {
  return [1, 2, 3].map(() => Math.floor(random() * 2 ** 40).toString(36)).join('');
}

function createPlace(parts: SharedParts, group: string, target: Target, platform: Platform): Place {
  const locks = parts.locks ?? ownLocks();
  if (locks === undefined) throw new Error('expected Web Locks: `fault` says so');
  const { clock } = platform;
  const seat = new Seat({
    ...{ group, locks, clock },
    openChannel: parts.openChannel ?? broadcastPort,
    newId: () => idOf(platform),
    page: parts.page ?? globalThis,
    createHost(id, onClose) {
      const tokens = new TokenDesk();
      const { token, ...rest } = place.target;
      if (token !== undefined) tokens.offer(token);
      const upstream = parts.openUpstream({
        ...{ target: rest, platform },
        // Who came without a token is let in without one, or by a cookie.
        ...(token === undefined ? {} : { token: () => tokens.take() }),
      });
      return new TabHost(upstream, { id, group, clock, locks, tokens, onClose });
    },
  });
  const place: Place = { seat, target };
  return place;
}

/** The way to a worker, which says itself when it can't be had. */
function dialWorker(
  parts: SharedParts,
  group: string,
  id: string,
  { onPort, onGone }: DialHandlers,
): Dialing {
  const locks = parts.locks ?? ownLocks();
  const name = `${group}/${id}`;
  const over = new AbortController();
  const { signal } = over;
  const fail = (): void => onGone({ kind: 'lost', reason: 'the shared worker did not start' });
  let hasBegun = false;
  const begin = (lock?: string): void => {
    if (hasBegun || signal.aborted) return;
    hasBegun = true;
    let worker: WorkerLike | undefined;
    try {
      worker = parts.worker?.(group);
    } catch {
      // What the policy of the page forbids is thrown.
    }
    if (worker === undefined) {
      fail();
      return;
    }
    worker.addEventListener('error', fail, { signal });
    const port = messagePort(worker.port);
    signal.addEventListener('abort', () => port.close());
    onPort(port, lock);
  };
  let release = (): void => {};
  if (locks === undefined) queueMicrotask(() => begin());
  else release = holdLock(locks, name, { onHeld: () => begin(name), onLost: () => begin() });
  return {
    reached() {},
    silent() {},
    close() {
      over.abort();
      release();
    },
  };
}
