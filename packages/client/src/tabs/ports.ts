/** Ports: the ways between a tab and a host, over what browsers have. */
import type { Port } from './port.ts';

/** The part of `MessagePort` that is used here. */
export interface MessagePortLike extends EventTarget {
  postMessage(value: unknown): void;
  start(): void;
  close(): void;
}

/** The part of `BroadcastChannel` that is used here. */
export interface BroadcastLike extends EventTarget {
  postMessage(value: unknown): void;
  close(): void;
}

/** A port to or from a worker. */
export function messagePort(port: MessagePortLike): Port {
  return portOver(port, () => port.start());
}

/** A channel by its name: what one end posts, all others of that name in the origin hear. */
export function broadcastPort(name: string): Port {
  const channel: BroadcastLike = new BroadcastChannel(name);
  return portOver(channel, () => {});
}

function portOver(channel: MessagePortLike | BroadcastLike, start: () => void): Port {
  const open = new AbortController();
  const { signal } = open;
  return {
    post(value) {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- It is no window.
      if (!signal.aborted) channel.postMessage(value);
    },
    listen(onValue) {
      const options = { signal };
      channel.addEventListener(
        'message',
        (event) => onValue((event as MessageEvent).data),
        options,
      );
      start();
    },
    close() {
      if (signal.aborted) return;
      open.abort();
      channel.close();
    },
  };
}

/**
 * Waits for the first value of a port before somebody listens to it, who then hears that one too.
 *
 * @param onFirst may listen to the port that it is given, at once.
 */
export function onFirstValue(port: Port, onFirst: (value: unknown, port: Port) => void): void {
  let hear: ((value: unknown) => void) | undefined;
  const rest: Port = {
    post: (value) => port.post(value),
    listen: (onValue) => (hear = onValue),
    close: () => port.close(),
  };
  port.listen((value) => {
    if (hear === undefined) onFirst(value, rest);
    hear?.(value);
  });
}

/**
 * Two ends in this page. Values are cloned as on any other port: what an application does with a
 * message must not show in another tab's.
 */
export function portPair(): readonly [Port, Port] {
  const ends = [new LocalPort(), new LocalPort()] as const;
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  return ends;
}

class LocalPort implements Port {
  other: LocalPort | undefined;
  #onValue: ((value: unknown) => void) | undefined;
  /** What has arrived and was not heard yet. */
  readonly #arrived: unknown[] = [];
  #isClosed = false;

  post(value: unknown): void {
    if (this.#isClosed) return;
    const { other } = this;
    const clone: unknown = structuredClone(value);
    queueMicrotask(() => other?.arrive(clone));
  }

  listen(onValue: (value: unknown) => void): void {
    this.#onValue = onValue;
    queueMicrotask(() => this.#hear());
  }

  close(): void {
    this.#isClosed = true;
    this.#arrived.length = 0;
  }

  arrive(value: unknown): void {
    if (this.#isClosed) return;
    this.#arrived.push(value);
    this.#hear();
  }

  #hear(): void {
    const onValue = this.#onValue;
    if (onValue === undefined) return;
    while (this.#arrived.length > 0) onValue(this.#arrived.shift());
  }
}
