/** Stores that stand between sessions and their records, for tests of what takes time or fails. */
import type { StateStore } from '../../../src/broker/state.ts';

/** A store whose calls wait, while it is held, until they are let through. */
export function heldState() {
  let isHeld = false;
  const waiting: (() => void)[] = [];
  const wait = (): Promise<void> =>
    isHeld ? new Promise((resolve) => void waiting.push(resolve)) : Promise.resolve();
  const stateOf = (state: StateStore): StateStore => ({
    get: async (key) => {
      await wait();
      return state.get(key);
    },
    list: (prefix, page) => state.list(prefix, page),
    put: async (key, value, options) => {
      await wait();
      return state.put(key, value, options);
    },
    delete: async (key, condition) => {
      await wait();
      return state.delete(key, condition);
    },
  });
  return {
    stateOf,
    hold: (): void => void (isHeld = true),
    /** Lets the calls through that wait, and all that come. */
    release: (): void => {
      isHeld = false;
      for (const go of waiting.splice(0)) go();
    },
    /** Lets the first call through, and holds the rest. */
    releaseOne: (): void => waiting.shift()?.(),
    get waitingCount(): number {
      return waiting.length;
    },
  };
}

/** A store whose calls fail while `failure` is set. */
export function failingState() {
  const told: { failure: Error | undefined } = { failure: undefined };
  const check = (): void => {
    if (told.failure !== undefined) throw told.failure;
  };
  const stateOf = (state: StateStore): StateStore => ({
    get: async (key) => {
      check();
      return state.get(key);
    },
    list: (prefix, page) => state.list(prefix, page),
    put: async (key, value, options) => {
      check();
      return state.put(key, value, options);
    },
    delete: async (key, condition) => {
      check();
      return state.delete(key, condition);
    },
  });
  return { stateOf, told };
}
