/** FakeTransport: a transport that does only what the test says. */
import { createLine } from '../src/lines/line.ts';
import type { Attempt } from '../src/lines/line.ts';
import type { Transport, TransportName } from '../src/transports.ts';
import { ManualPace } from './manual-pace.ts';

export interface FakeTransport extends Transport {
  readonly attempts: readonly Attempt[];
  /** The attempt that was dialled last. */
  last(): Attempt;
}

/** Makes one; lines over it never wait. */
export function fakeTransport(name: TransportName): FakeTransport {
  const attempts: Attempt[] = [];
  return {
    name,
    label: name,
    short: name,
    how: '',
    attempts,
    connect: (options) =>
      createLine(
        (attempt) => {
          attempts.push(attempt);
          return () => {};
        },
        { ...options, pace: new ManualPace() },
        { byName: name === 'sse' },
      ),
    last() {
      const attempt = attempts.at(-1);
      if (attempt === undefined) throw new Error(`nothing was dialled over ${name}`);
      return attempt;
    },
  };
}
