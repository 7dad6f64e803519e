/**
 * Seat: one tab's part in finding who has the connection, where there is no worker to have it. Tabs
 * wait for a lock; who holds it leads, makes the host and announces it. The others call it, each by
 * a channel of its own. When a leader is gone its lock comes free and another one leads; the lock of
 * one that gives no sign of life is taken from it. That one may believe for a while that it leads
 * still: so every host has an id, and what is meant for one is not taken by another.
 */
import type { Ending } from '../ending.ts';
import { asObject } from '../events.ts';
import type { Clock, Timer } from '../platform.ts';
import { holdLock } from './election.ts';
import type { Locks } from './election.ts';
import type { TabHost } from './host.ts';
import type { Port } from './port.ts';
import { onFirstValue, portPair } from './ports.ts';

/** A tab whose last attempt ended leads on for so long, for the next one most likely comes. */
export const LINGER_MS = 10_000;

/** What a seat needs. */
export interface SeatOptions {
  /** Who shares: `groupOf`. It names the lock and the channels. */
  readonly group: string;
  readonly locks: Locks;
  readonly openChannel: (name: string) => Port;
  readonly clock: Clock;
  /** A name that nobody else has. */
  readonly newId: () => string;
  /** Tells `pagehide`. */
  readonly page: Partial<EventTarget>;
  /** Makes the host that others in this group are served by. */
  readonly createHost: (id: string, onClose: () => void) => TabHost;
}

/** What an attempt hears of its dialing. */
export interface DialHandlers {
  /**
   * A host listens at the other end. Again when that one was gone before it answered.
   *
   * @param lock held for this port.
   */
  onPort(port: Port, lock?: string): void;
  /** The host is gone, or can't be had. At most once, and the last. */
  onGone(ending: Ending): void;
}

/** An attempt's way to a host. */
export interface Dialing {
  /** The host has answered. @param host its id. */
  reached(host: string): void;
  /** The host gave no sign of life. */
  silent(): void;
  /** Idempotent. */
  close(): void;
}

const MOVED: Ending = {
  kind: 'lost',
  reason: 'another tab has the connection now',
  hint: { withinMs: 0 },
};

export class Seat {
  readonly #options: SeatOptions;
  readonly #calls = new Set<Call>();
  #meeting: Port | undefined;
  #leave: (() => void) | undefined;
  #host: { readonly id: string; readonly tabs: TabHost } | undefined;
  #leads = false;
  #linger: Timer | undefined;
  // A page that is kept for going back to holds no connection, and others must not wait for it.
  readonly #onHide = (): void => this.resign();

  constructor(options: SeatOptions) {
    this.#options = options;
  }

  /** True while this tab has the connection. */
  get leads(): boolean {
    return this.#leads;
  }

  /** Looks for a host, or becomes it. Nothing is told before this has returned. */
  dial(handlers: DialHandlers): Dialing {
    this.#linger?.cancel();
    const call = new Call(this.#options, handlers);
    this.#calls.add(call);
    queueMicrotask(() => {
      if (!this.#calls.has(call)) return;
      this.#enter();
      this.#call(call);
    });
    return {
      reached: (host) => (call.host = host),
      silent: () => this.#enter({ steal: !this.#leads }),
      close: () => {
        call.close();
        if (this.#calls.delete(call) && this.#calls.size === 0) this.#lingerOn();
      },
    };
  }

  /** Gives the connection to another tab, now. This one may dial again. Idempotent. */
  resign(): void {
    this.#linger?.cancel();
    this.#options.page.removeEventListener?.('pagehide', this.#onHide);
    this.#leave?.();
    this.#leave = undefined;
    this.#stepDown();
    this.#meeting?.close();
    this.#meeting = undefined;
    for (const call of [...this.#calls]) this.#lose(call);
  }

  #lingerOn(): void {
    this.#linger?.cancel();
    this.#linger = this.#options.clock.after(LINGER_MS, () => this.resign());
  }

  /** Listens to who leads, and waits to lead. */
  #enter(how: { readonly steal?: boolean } = {}): void {
    const { group, locks, openChannel, page } = this.#options;
    if (this.#meeting === undefined) {
      page.addEventListener?.('pagehide', this.#onHide);
      this.#meeting = openChannel(group);
      this.#meeting.listen((value) => this.#onMeeting(value));
    }
    if (this.#leave !== undefined && how.steal !== true) return;
    this.#leave?.();
    const handlers = {
      onHeld: () => this.#lead(),
      onLost: () => {
        this.#leave = undefined;
        this.#stepDown();
      },
    };
    this.#leave = holdLock(locks, group, handlers, how);
  }

  #lead(): void {
    this.#leads = true;
    this.#open();
    for (const call of [...this.#calls]) {
      // The host that it had reached was that of the tab that led before.
      if (call.host === undefined) this.#call(call);
      else this.#lose(call);
    }
  }

  #stepDown(): void {
    this.#leads = false;
    this.#host?.tabs.close();
    this.#host = undefined;
  }

  /** The host of this tab, which leads. One that has ended is followed by another one. */
  #open(): TabHost {
    if (this.#host !== undefined) return this.#host.tabs;
    const id = this.#options.newId();
    const tabs = this.#options.createHost(id, () => {
      if (this.#host?.id === id) this.#host = undefined;
    });
    this.#host = { id, tabs };
    this.#meeting?.post({ kind: 'lead', host: id, isNew: true });
    return tabs;
  }

  /** Connects an attempt to the host of this tab, or asks who has one. */
  #call(call: Call): void {
    if (!this.#leads) {
      this.#meeting?.post({ kind: 'seek' });
      return;
    }
    const [near, far] = portPair();
    this.#open().accept(far);
    call.connect(near);
  }

  #lose(call: Call): void {
    if (this.#calls.delete(call)) call.lose();
    if (this.#calls.size === 0) this.#lingerOn();
  }

  #onMeeting(value: unknown): void {
    const { kind, port, host, isNew } = asObject(value) ?? {};
    if (this.#leads) {
      if (kind === 'seek') this.#answer();
      if (kind === 'call' && typeof port === 'string' && host === this.#host?.id) this.#serve(port);
    } else if (kind === 'lead' && typeof host === 'string') {
      for (const call of [...this.#calls]) this.#onLead(call, host, isNew === true);
    }
  }

  /** Tells who seeks a host that it is here. */
  #answer(): void {
    this.#open();
    this.#meeting?.post({ kind: 'lead', host: this.#host?.id });
  }

  #onLead(call: Call, host: string, isNew: boolean): void {
    // Who says so without being new may be one whose lock was taken.
    if (call.host === undefined)
      call.call(host, (port) => this.#meeting?.post({ kind: 'call', host, port }));
    else if (isNew && call.host !== host) this.#lose(call);
  }

  #serve(port: string): void {
    const { openChannel, group } = this.#options;
    this.#open().accept(openChannel(portName(group, port)));
  }
}

/** One attempt on its way to a host. */
class Call {
  readonly #options: SeatOptions;
  readonly #handlers: DialHandlers;
  /** The id of the host that has answered. */
  host: string | undefined;
  /** The id of the host that was called last. */
  #called: string | undefined;
  #port: Port | undefined;
  #free: (() => void) | undefined;
  #isOver = false;

  constructor(options: SeatOptions, handlers: DialHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** The host is in this tab. */
  connect(port: Port): void {
    this.#drop();
    this.#port = port;
    this.#handlers.onPort(port);
  }

  /** Calls the host of another tab. @param ring tells it where it is called. */
  call(host: string, ring: (port: string) => void): void {
    if (this.#called === host) return;
    this.#drop();
    this.#called = host;
    const id = this.#options.newId();
    const name = portName(this.#options.group, id);
    // A host that is told of the lock must not find it free.
    this.#free = holdLock(this.#options.locks, name, {
      onHeld: () => {
        this.#listen(name);
        ring(id);
      },
    });
  }

  /** Waits for the host's first sign, after which nothing is lost. */
  #listen(name: string): void {
    const port = this.#options.openChannel(name);
    this.#port = port;
    onFirstValue(port, (_value, rest) => this.#handlers.onPort(rest, name));
  }

  lose(): void {
    if (this.#isOver) return;
    this.close();
    this.#handlers.onGone(MOVED);
  }

  close(): void {
    this.#isOver = true;
    this.#drop();
  }

  #drop(): void {
    this.#port?.close();
    this.#free?.();
    this.#port = undefined;
    this.#free = undefined;
    this.#called = undefined;
  }
}

function portName(group: string, id: string): string {
  return `${group}/${id}`;
}
