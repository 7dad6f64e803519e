/** HTTP versions: which one the browser used last, by the path it asked for. */
import { formatProtocol } from './format.ts';

/** Watches the page's own requests. */
export class HttpVersions {
  readonly #byPath = new Map<string, string>();

  /** Begins; what was asked before is told as well. */
  watch(): void {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) this.#take(entry);
    });
    // Observed and not looked up: the browser's own list is full after 250 requests.
    observer.observe({ type: 'resource', buffered: true });
    observer.observe({ type: 'navigation', buffered: true });
  }

  /**
   * The version of a request, e.g. `HTTP/2`; empty when it can't be told. A stream that has not
   * ended is not told of yet: it goes as the page itself came.
   */
  of(path: string): string {
    if (path === '/v1/ws') return location.protocol === 'http:' ? 'HTTP/1.1' : '';
    return formatProtocol(this.#byPath.get(path) ?? this.#byPath.get(location.pathname) ?? '');
  }

  #take(entry: PerformanceEntry): void {
    const { nextHopProtocol } = entry as PerformanceResourceTiming;
    // Empty when the request failed.
    if (nextHopProtocol !== '') this.#byPath.set(new URL(entry.name).pathname, nextHopProtocol);
  }
}
