/**
 * Tabs fakes: pages of one browser that are closed, crash and freeze, with their locks, channels and
 * timers. Nothing happens by itself: a seed decides what happens next, and what is between two pages
 * stays in its order.
 */
import { ManualClock, seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import type { Clock } from '../../src/platform.ts';
import type { Locks } from '../../src/tabs/election.ts';
import type { Port } from '../../src/tabs/port.ts';
import type { MessagePortLike } from '../../src/tabs/ports.ts';
import type { WorkerLike } from '../../src/tabs/shared-transport.ts';

/** Steps after which a world should have come to rest. */
const STEPS_MAX = 200_000;

/** What waits to happen in one page, in order. */
interface Lane {
  readonly page: FakePage;
  readonly tasks: (() => void)[];
}

interface LockRequest {
  readonly page: FakePage;
  readonly callback: () => Promise<void> | undefined;
  readonly settle: (error?: Error) => void;
}

interface LockState {
  held: LockRequest | undefined;
  readonly queue: LockRequest[];
}

interface Endpoint {
  readonly page: FakePage;
  readonly name: string;
  readonly lanes: Map<Endpoint, Lane>;
  onValue: ((value: unknown) => void) | undefined;
}

/** One browser. */
export class FakeWorld {
  readonly random: SeededRandom;
  readonly clock = new ManualClock();
  readonly #lanes = new Set<Lane>();
  readonly #locks = new Map<string, LockState>();
  readonly #endpoints = new Set<Endpoint>();

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** Something that happens in a page after all else in this lane. */
  lane(page: FakePage): Lane {
    const lane = { page, tasks: [] };
    this.#lanes.add(lane);
    return lane;
  }

  drop(lane: Lane): void {
    this.#lanes.delete(lane);
  }

  /** Lets one thing happen. @returns false when nothing waits in pages that are awake. */
  async step(): Promise<boolean> {
    const ready = [...this.#lanes].filter(
      ({ page, tasks }) => page.isAlive && !page.isFrozen && tasks.length > 0,
    );
    const lane = ready[Math.floor(this.random.fraction() * ready.length)];
    if (lane === undefined) return false;
    lane.tasks.shift()?.();
    await this.clock.settle();
    return true;
  }

  /** Lets things happen until nothing waits, and time pass. */
  async rest(ms = 0): Promise<void> {
    await this.clock.settle();
    for (let count = 0; await this.step(); count += 1) {
      if (count === STEPS_MAX) throw new Error(`expected rest within ${STEPS_MAX} steps`);
    }
    if (ms === 0) return;
    const partMs = Math.min(ms, this.clock.nextTimerMs ?? ms);
    this.clock.advance(partMs);
    if (ms > partMs) await this.rest(ms - partMs);
    else await this.rest();
  }

  /** What is on its way to a page. */
  waitingFor(page: FakePage): number {
    return [...this.#lanes]
      .filter((lane) => lane.page === page)
      .reduce((count, { tasks }) => count + tasks.length, 0);
  }

  locksOf(page: FakePage): Locks {
    return {
      request: (name, options, callback) =>
        new Promise((resolve, reject) => {
          const request: LockRequest = {
            ...{ page, callback },
            settle: (error) => (error === undefined ? resolve(undefined) : reject(error)),
          };
          const state = this.#locks.get(name) ?? { held: undefined, queue: [] };
          this.#locks.set(name, state);
          options.signal?.addEventListener('abort', () => {
            const at = state.queue.indexOf(request);
            if (at < 0) return;
            state.queue.splice(at, 1);
            reject(new Error('aborted'));
          });
          if (options.steal === true) {
            const { held } = state;
            state.held = undefined;
            if (held !== undefined)
              page.world.run(held.page, () => held.settle(new Error('stolen')));
            state.queue.unshift(request);
          } else {
            state.queue.push(request);
          }
          this.#grant(name);
        }),
    };
  }

  /** Runs something in a page, some time. */
  run(page: FakePage, task: () => void): void {
    const lane = this.lane(page);
    lane.tasks.push(() => {
      this.drop(lane);
      task();
    });
  }

  channelOf(page: FakePage, name: string): Port {
    const endpoint: Endpoint = { page, name, lanes: new Map(), onValue: undefined };
    this.#endpoints.add(endpoint);
    return {
      post: (value) => {
        if (!page.isAlive || !this.#endpoints.has(endpoint)) return;
        const clone: unknown = structuredClone(value);
        for (const other of this.#endpoints) {
          if (other !== endpoint && other.name === name) this.#send(endpoint, other, clone);
        }
      },
      listen: (onValue) => (endpoint.onValue = onValue),
      close: () => this.#endpoints.delete(endpoint),
    };
  }

  /** A page is gone, with its locks and channels. */
  forget(page: FakePage): void {
    for (const endpoint of [...this.#endpoints]) {
      if (endpoint.page === page) this.#endpoints.delete(endpoint);
    }
    for (const lane of [...this.#lanes]) if (lane.page === page) this.#lanes.delete(lane);
    for (const [name, state] of this.#locks) {
      state.queue.splice(0, Infinity, ...state.queue.filter((one) => one.page !== page));
      if (state.held?.page === page) state.held = undefined;
      this.#grant(name);
    }
  }

  #send(from: Endpoint, to: Endpoint, value: unknown): void {
    const lane = from.lanes.get(to) ?? this.lane(to.page);
    from.lanes.set(to, lane);
    lane.tasks.push(() => {
      if (this.#endpoints.has(to)) to.onValue?.(value);
    });
  }

  #grant(name: string): void {
    const state = this.#locks.get(name);
    if (state === undefined || state.held !== undefined) return;
    const request = state.queue.shift();
    if (request === undefined) return;
    state.held = request;
    const free = (): void => {
      request.settle();
      if (state.held !== request) return;
      state.held = undefined;
      this.#grant(name);
    };
    this.run(request.page, () => {
      // It was stolen before its page heard of it.
      if (state.held === request) void Promise.resolve(request.callback()).then(free);
    });
  }
}

/** One page, or a worker. */
export class FakePage {
  readonly world: FakeWorld;
  readonly name: string;
  readonly locks: Locks;
  readonly clock: Clock;
  isAlive = true;
  isFrozen = false;

  constructor(world: FakeWorld, name: string) {
    this.world = world;
    this.name = name;
    this.locks = world.locksOf(this);
    const { clock } = world;
    this.clock = {
      monotonicMs: () => clock.monotonicMs(),
      after: (delayMs, task) => {
        let isCancelled = false;
        // Timers of a frozen page run when it is awake again.
        const timer = clock.after(delayMs, () => world.run(this, () => isCancelled || task()));
        return {
          cancel() {
            isCancelled = true;
            timer.cancel();
          },
        };
      },
    };
  }

  readonly openChannel = (name: string): Port => this.world.channelOf(this, name);

  /** Closes or crashes: the page says nothing more. */
  die(): void {
    this.isAlive = false;
    this.world.forget(this);
  }
}

/** A worker that pages of a world share: what a page gets for it, and what it hears of pages. */
export function fakeWorker(
  page: FakePage,
  worker: FakePage,
  onConnect: (port: MessagePortLike) => void,
): WorkerLike {
  const near = new FakeMessagePort(page);
  const far = new FakeMessagePort(worker);
  near.connect(far);
  far.connect(near);
  page.world.run(worker, () => onConnect(far));
  return Object.assign(new EventTarget(), { port: near });
}

class FakeMessagePort extends EventTarget implements MessagePortLike {
  readonly #page: FakePage;
  readonly #lane: Lane;
  #other: FakeMessagePort | undefined;
  #early: unknown[] | undefined = [];
  #isClosed = false;

  constructor(page: FakePage) {
    super();
    this.#page = page;
    this.#lane = page.world.lane(page);
  }

  connect(other: FakeMessagePort): void {
    this.#other = other;
  }

  postMessage(value: unknown): void {
    const clone: unknown = structuredClone(value);
    const other = this.#other;
    if (this.#page.isAlive && !this.#isClosed) other?.arrive(clone);
  }

  start(): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const value of early) this.#dispatch(value);
  }

  close(): void {
    this.#isClosed = true;
  }

  arrive(value: unknown): void {
    this.#lane.tasks.push(() => {
      if (this.#early === undefined) this.#dispatch(value);
      else this.#early.push(value);
    });
  }

  #dispatch(data: unknown): void {
    if (!this.#isClosed) this.dispatchEvent(new MessageEvent('message', { data }));
  }
}
