/** A connection over transports that the test plays. */
import { ManualClock } from '@trunkline/testkit';
import { expect } from 'vitest';
import { Connection } from '../../src/connection/connection.ts';
import type { StateEvent } from '../../src/connection/connection.ts';
import { Ladder } from '../../src/connection/ladder.ts';
import { Renewal } from '../../src/connection/renewal.ts';
import { Tokens } from '../../src/connection/tokens.ts';
import { json } from '../../src/encodings/json.ts';
import type { Ending } from '../../src/ending.ts';
import type { TokenSource } from '../../src/http.ts';
import { Subscriptions } from '../../src/reading/subscriptions.ts';
import type {
  Attempt,
  AttemptSink,
  Target,
  Transport,
  TransportName,
} from '../../src/transports/transport.ts';
import { fakePlatform } from './fakes.ts';

/** An attempt whose server is the test. */
export class Tried implements Attempt {
  readonly name: TransportName;
  readonly target: Target;
  readonly sink: AttemptSink;
  readonly revised: string[] = [];
  readonly renewed: string[] = [];
  probes = 0;
  isClosed = false;

  constructor(name: TransportName, target: Target, sink: AttemptSink) {
    this.name = name;
    this.target = target;
    this.sink = sink;
  }

  revise(filter: string): void {
    this.revised.push(filter);
  }

  /** Set to hold answers back. */
  answer: Promise<void> | undefined;

  async request() {
    await this.answer;
    return { fields: { by: this.name } };
  }

  send(): void {}

  renew(token: string): void {
    this.renewed.push(token);
  }

  probe(): void {
    this.probes += 1;
  }

  close(): void {
    this.isClosed = true;
  }

  lose(ending: Partial<Ending & { kind: 'lost' }> = {}): void {
    this.sink.onEnd({ kind: 'lost', reason: 'gone', ...ending });
  }
}

/** A connection over transports that the test plays; random numbers are a half. */
export function setUpConnection(
  names: readonly TransportName[] = ['websocket'],
  token?: TokenSource,
  onState = (_: StateEvent): void => {},
) {
  const clock = new ManualClock();
  const tried: Tried[] = [];
  const states: StateEvent[] = [];
  const calls: string[] = [];
  const transports = names.map(
    (name): Transport => ({
      name,
      fault: () => undefined,
      open(target, sink) {
        const attempt = new Tried(name, target, sink);
        tried.push(attempt);
        return attempt;
      },
    }),
  );
  const platform = { ...fakePlatform(), clock };
  const unixMs = () => clock.unixMs();
  const subscriptions = new Subscriptions({
    onRevise: (filter) => connection.revise(filter),
    session: () => undefined,
  });
  const ladder = new Ladder(transports, { platform, unixMs });
  const connection = new Connection({
    url: 'http://rt.example.com',
    encoding: json,
    ladder,
    tokens: new Tokens(
      token,
      clock,
      (one) => connection.renew(one),
      (renew) => new Renewal({ clock, random: () => 0.5, unixMs }, renew),
    ),
    subscriptions,
    platform,
    onReady: () => calls.push('ready'),
    onLost: () => calls.push('lost'),
    onState: (event) => {
      states.push(event);
      onState(event);
    },
  });
  const at = (index: number): Tried => {
    const attempt = tried.at(index);
    if (attempt === undefined) throw new Error(`expected attempt ${index}`);
    return attempt;
  };
  const begin = async (): Promise<Tried> => {
    connection.open();
    await clock.settle();
    return at(-1);
  };
  /** Lets the time pass after which it dials again. */
  const redial = async (ms = 10_000): Promise<Tried> => {
    const count = tried.length;
    await clock.pass(ms);
    expect(tried.length).toBeGreaterThan(count);
    return at(-1);
  };
  return { clock, tried, states, calls, connection, ladder, subscriptions, at, begin, redial };
}
