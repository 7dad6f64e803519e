import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { HttpVersions } from '../src/http-versions.ts';

interface Entry {
  readonly name: string;
  readonly nextHopProtocol: string;
}

/** Versions of a page at `address` that sees these requests. */
function watch(address: string, ...entries: Entry[]): HttpVersions {
  vi.stubGlobal('location', new URL(address));
  vi.stubGlobal(
    'PerformanceObserver',
    class {
      constructor(tell: (list: { getEntries(): readonly Entry[] }) => void) {
        tell({ getEntries: () => entries });
      }
      observe(): void {}
    },
  );
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const versions = new HttpVersions();
  versions.watch();
  return versions;
}

describe('HTTP versions', () => {
  test('are those of the last request to a path', () => {
    const versions = watch(
      'https://a.test/',
      { name: 'https://a.test/v1/poll?wait=25', nextHopProtocol: 'http/1.1' },
      { name: 'https://a.test/v1/poll', nextHopProtocol: 'h2' },
      { name: 'https://a.test/v1/poll', nextHopProtocol: '' },
    );
    expect(versions.of('/v1/poll')).toBe('HTTP/2');
  });

  test('are that of the page for a stream that has not ended', () => {
    const versions = watch('https://a.test/', { name: 'https://a.test/', nextHopProtocol: 'h2' });
    expect(versions.of('/v1/sse')).toBe('HTTP/2');
  });

  test('are known of a WebSocket without TLS alone, which a page can not ask', () => {
    expect(watch('http://a.test/').of('/v1/ws')).toBe('HTTP/1.1');
    expect(watch('https://a.test/').of('/v1/ws')).toBe('');
  });
});
