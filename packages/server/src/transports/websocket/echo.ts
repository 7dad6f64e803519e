/** Echo: sends every message back, for tests of the transport. */
import type { Frame, Link, LinkHandler } from '../../link/link.ts';

/** Unsent bytes at which an echo stops reading until the peer has taken them. */
const PENDING_BYTES_MAX = 128 * 1024;

/** What to give a link that echoes; its memory is bounded for peers that write and never read. */
export function openEcho(link: Link): LinkHandler {
  return new Echo(link);
}

class Echo implements LinkHandler {
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  onFrame(frame: Frame): void {
    this.#link.send(frame);
    if (this.#link.pendingBytes <= PENDING_BYTES_MAX) return;
    this.#link.setPaused(true);
    this.#link.requestDrain();
  }

  onDrain(): void {
    this.#link.setPaused(false);
  }

  onClose(): void {}
}
