/** FakeTransport: a transport that does only what the test says. */
import { createLine } from '../src/lines/line.ts';
import type { Attempt, Beginning } from '../src/lines/line.ts';
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
    path: '',
    encodings: ['json', 'binary'],
    attempts,
    needsOnePlace: false,
    takesPlaces: name !== 'mqtt',
    isAlwaysListed: name === 'websocket',
    tellsExpired: () => name === 'websocket',
    connect: (options) =>
      createLine(
        (attempt) => {
          attempts.push(attempt);
          return () => {};
        },
        { ...options, pace: new ManualPace() },
      ),
    last() {
      const attempt = attempts.at(-1);
      if (attempt === undefined) throw new Error(`nothing was dialled over ${name}`);
      return attempt;
    },
  };
}

/** The server's answer for a filter; `room/42` unless said otherwise. */
export function beginning(place: string | undefined, rest: Partial<Beginning> = {}): Beginning {
  const none = { recovered: undefined, gap: undefined, isVolatile: false };
  return { filter: 'room/42', place, ...none, ...rest };
}
