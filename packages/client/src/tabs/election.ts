/**
 * Election: which tab leads, by a lock that it holds for life. The browser frees the locks of a tab
 * that is closed or crashes, and gives them to who waited longest.
 */

/** The part of `navigator.locks` that is used here. */
export interface Locks {
  request(
    name: string,
    options: { readonly signal?: AbortSignal; readonly steal?: boolean },
    callback: () => Promise<void> | undefined,
  ): Promise<unknown>;
}

/** What becomes of a lock that is waited for. */
export interface HoldHandlers {
  /** It is held from now on. At most once. */
  onHeld(): void;
  /** It was taken away, or can't be had. At most once, and not after the release. */
  onLost?(): void;
}

/**
 * Waits for a lock and holds it until it is released, or until somebody steals it.
 *
 * @param options `steal` takes it from whoever holds it, e.g. a tab that was frozen.
 * @returns releases the lock, or waits for it no longer. Idempotent.
 */
export function holdLock(
  locks: Locks,
  name: string,
  handlers: HoldHandlers,
  options: { readonly steal?: boolean } = {},
): () => void {
  const waiting = new AbortController();
  let isOver = false;
  let free: (() => void) | undefined;
  const lose = (): void => {
    if (isOver) return;
    isOver = true;
    handlers.onLost?.();
  };
  const callback = (): Promise<void> | undefined => {
    if (isOver) return undefined;
    const held = new Promise<void>((resolve) => (free = resolve));
    handlers.onHeld();
    return held;
  };
  // Locks allow no signal for what is stolen, which is held at once.
  const how = options.steal === true ? { steal: true } : { signal: waiting.signal };
  locks.request(name, how, callback).then(lose, lose);
  return () => {
    isOver = true;
    waiting.abort();
    free?.();
  };
}
