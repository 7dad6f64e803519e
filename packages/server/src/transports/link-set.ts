/** LinkSet: the open links of one transport, and what is counted of them for the metrics. */
import type { RequestHead } from '../http/request.ts';
import type { Close } from '../link/link.ts';

/** The version of HTTP that carries a link; empty where none does. */
export type HttpVersion = RequestHead['version'] | '';

/** Numbers of one transport's links. */
export interface LinkCounts {
  /** Links that are open now, by version. */
  readonly open: ReadonlyMap<HttpVersion, number>;
  /** Since the start, by version. */
  readonly opened: ReadonlyMap<HttpVersion, number>;
  /** Since the start, by the code they ended with. */
  readonly closed: ReadonlyMap<Close['code'], number>;
}

/** Keeps links from their handshake until their stream is gone. */
export class LinkSet<L> {
  readonly links: ReadonlySet<L>;
  readonly #links = new Set<L>();
  /** The version of the many, which nothing is kept of. */
  readonly #usual: HttpVersion;
  readonly #others = new Map<L, HttpVersion>();
  readonly #opened = new Map<HttpVersion, number>();
  readonly #closed = new Map<Close['code'], number>();

  /** @param usual the version that most links have: they cost no more than their place here. */
  constructor(usual: HttpVersion = '1.1') {
    this.links = this.#links;
    this.#usual = usual;
  }

  add(link: L, version: HttpVersion): void {
    this.#links.add(link);
    if (version !== this.#usual) this.#others.set(link, version);
    increase(this.#opened, version);
  }

  /** The stream of a link is gone. */
  remove(link: L, close: Close): void {
    if (!this.#links.delete(link)) return;
    this.#others.delete(link);
    increase(this.#closed, close.code);
  }

  get counts(): LinkCounts {
    const open = new Map<HttpVersion, number>();
    for (const version of this.#others.values()) increase(open, version);
    if (this.#opened.has(this.#usual)) open.set(this.#usual, this.#links.size - this.#others.size);
    return { open, opened: this.#opened, closed: this.#closed };
  }
}

function increase<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
