/** Platform: what the client takes from the browser or Node. Tests bring their own. */

/** A timer that was set. */
export interface Timer {
  /** The task will not run any more. Idempotent. */
  cancel(): void;
}

/** Time as a dependency. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes backwards. */
  monotonicMs(): number;
  /** Runs `task` once, no earlier than `delayMs` from now, unless cancelled first. */
  after(delayMs: number, task: () => void): Timer;
}

/** The part of `WebSocket` that is used here. */
export interface Socket extends EventTarget {
  /** The subprotocol that the server chose. Where there is none it is JSON. */
  readonly protocol?: string;
  binaryType?: 'blob' | 'arraybuffer';
  /** Bytes that were given to `send` and did not leave yet, where it is known. */
  readonly bufferedAmount?: number;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
}

/** Everything from outside. */
export interface Platform {
  readonly clock: Clock;
  /** In [0, 1); for jitter. */
  readonly random: () => number;
  readonly fetch: typeof fetch;
  readonly WebSocket: new (url: string, protocols: string[]) => Socket;
}

/** The machine's own time. */
const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timeout = setTimeout(task, delayMs);
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** Unix milliseconds of the machine; may jump. */
export const systemUnixMs = (): number => Date.now();

/** Tells of an error that nobody listens for where developers look: nothing is lost in silence. */
export function reportUnheard(error: Error): void {
  // Browsers, Deno and Bun have a word for it; Node's own would end the process.
  if ('reportError' in globalThis) globalThis.reportError(error);
  else globalThis.console.error(error);
}

/** Fills what the caller did not bring from the globals, looked up now and not at import. */
export function platformOf(given: Partial<Platform>): Platform {
  return {
    clock: given.clock ?? systemClock,
    random: given.random ?? Math.random,
    // A method of the global object: called without it, browsers refuse.
    fetch: given.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    WebSocket: given.WebSocket ?? globalThis.WebSocket,
  };
}
