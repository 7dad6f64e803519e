/**
 * MemoryConnection: one connection that several memory links share, as the streams of HTTP/2 do.
 * What the network takes of any of them is taken from one window, and the connection ends with all
 * of them. A link that stands still by itself takes nothing of the window, so the others go on.
 */

/** A link, as the connection below it sees it. */
export interface SharedLink {
  /** The connection has room again: what was written moves on. */
  flush(): void;
  /** The connection broke. */
  drop(): void;
}

/** The window that links share, and the controls of the network behind it. */
export class MemoryConnection {
  #links: SharedLink[] = [];
  #window = Number.POSITIVE_INFINITY;
  #isBroken = false;

  /** True once it has ended, and every link with it. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** A link is opened over it. */
  add(link: SharedLink): void {
    this.#links.push(link);
  }

  /** The link has ended by itself. */
  remove(link: SharedLink): void {
    this.#links = this.#links.filter((other) => other !== link);
  }

  /** @returns how many of these bytes there is room for, which they take. */
  take(bytes: number): number {
    const taken = Math.min(bytes, this.#window);
    this.#window -= taken;
    return taken;
  }

  /** The network takes so many bytes more, of whatever link; each time another one comes first. */
  allow(bytes: number): void {
    this.#window += bytes;
    const [first, ...others] = this.#links;
    if (first !== undefined) this.#links = [...others, first];
    for (const link of [...this.#links]) link.flush();
  }

  /** From now on the network takes only bytes that are allowed anew. */
  hold(): void {
    this.#window = 0;
  }

  /** From now on the network takes all there is. */
  release(): void {
    this.allow(Number.POSITIVE_INFINITY);
  }

  /** It breaks, and all links with it. */
  drop(): void {
    this.#isBroken = true;
    const links = this.#links;
    this.#links = [];
    for (const link of links) link.drop();
  }
}
