/**
 * Fuzzing the attempt over a WebSocket. Here's how it works:
 *
 * 1. A server sends frames of objects that look like the contract's, with fields that are missing,
 *    of another type, or of another time, and text that is no JSON; it closes, or time passes. The
 *    other side changes what it wishes, asks, probes and closes.
 * 2. Whatever happens, nothing is thrown, the sink hears what its interface allows and nothing after
 *    the end, every request is settled, and no timer is left.
 */
import { seededRandom } from '@trunkline/testkit';
import type { SeededRandom } from '@trunkline/testkit';
import { dial, RecordingSink } from '../support/attempts.ts';
import type { Dialed } from '../support/attempts.ts';

const FILTERS = ['a', 'a/1', 'a/+', '#'];
const TYPES = [
  ...['welcome', 'subscribed', 'subscribed', 'unsubscribed', 'published', 'message', 'message'],
  ...['gap', 'expired', 'mark', 'snapshot', 'join', 'leave', 'presence', 'goaway', 'error', 'pong'],
  ...['history', 'refreshed', 'later'],
];
const FIELDS: Readonly<Record<string, readonly unknown[]>> = {
  channel: [...FILTERS, 'a', 'b', '', 5, null],
  position: ['e:0', 'e:7', 'nonsense', 5],
  mark: ['~1', 7],
  offset: [1, 2, -1, 1.5, 'x'],
  epoch: ['e', 'f', 5],
  data: [1, 'x', null, { a: [1] }],
  bytes: ['AAE=', '!', 5],
  code: ['forbidden', 'unavailable', 'rate_limited', 'unauthenticated', 'never heard of', 5],
  retryAfter: [0, 50, -1, 'x', 1e15],
  within: [0, 5000, -1, 'x', 1e15],
  gap: [{ reason: 'trimmed', from: 1, to: 2 }, {}, 5],
  members: [[], [{ session: 's', since: 1 }], [5], 5],
  member: [{ session: 's', since: 1 }, {}, 5],
  messages: [[], [{}], [{ channel: 'a', offset: 1, epoch: 'e', data: 1 }], 5],
  limits: [{ commandsPerSecond: 2, keyWindowMs: 5 }, { commandsPerSecond: 'x' }, 5],
  ping: [1000, 0, -1, 1e15, 'x'],
  count: [0, 'x'],
  from: [1, {}],
  to: [2, 'x'],
  volatile: [true, 'x'],
  stored: [false, 'unknown', 5],
  as: [1, 2, 3, 'x', null],
  id: [1, 2, 3, 4, 5, 6, 99, -1, 'x', null],
};
const GARBAGE = ['', '\n', '{', '[]', '5', 'null', '"x"', '{"type":"pong"}}', '\u0000', '{}'];
const STEPS_MAX = 60;

/** Runs `rounds` attempts. @throws {Error} that names seed and round when one goes wrong. */
export async function fuzzWebSocket(seed: number, rounds: number): Promise<void> {
  const random = seededRandom(seed);
  for (let round = 0; round < rounds; round += 1) {
    const steps: string[] = [];
    try {
      await run(random, steps);
    } catch (error) {
      const story = steps.join('\n');
      throw new Error(`seed ${seed}, round ${round}:\n${story}`, { cause: error });
    }
  }
}

async function run(random: SeededRandom, steps: string[]): Promise<void> {
  const sink = new RecordingSink(...FILTERS.filter(() => random.chance(0.5)));
  const dialed = dial(sink, random.chance(0.5) ? { token: 't' } : {});
  const { platform, attempt, socket } = dialed;
  const requests: Promise<unknown>[] = [];
  let settled = 0;
  if (random.chance(0.9)) socket.open();
  if (random.chance(0.9)) socket.receive({ type: 'welcome', id: 1, session: 's' });
  if (random.chance(0.9)) socket.receive({ type: 'welcome', session: 's' });
  for (let left = random.integer(STEPS_MAX); left > 0; left -= 1) {
    const request = step(random, dialed, steps);
    if (request !== undefined) {
      requests.push(
        request.then(
          () => (settled += 1),
          () => (settled += 1),
        ),
      );
    }
    if (random.chance(0.3)) await platform.clock.settle();
  }
  steps.push('the end');
  if (random.chance(0.5)) socket.end(random.pick([1000, 1006, 4401, 4429, 77]), 'why');
  else attempt.close();
  await Promise.all(requests);
  if (settled !== requests.length) throw new Error('a request was settled twice');
  if (platform.clock.timerCount > 0) throw new Error('a timer is left');
  checkTold(sink.told());
}

/** One thing that the server, the clock or this side does. */
function step(
  random: SeededRandom,
  { platform, attempt, socket, sink }: Dialed,
  steps: string[],
): Promise<unknown> | undefined {
  const filter = random.pick(FILTERS);
  const kind = random.integer(12);
  if (kind < 6) {
    const objects = Array.from({ length: 1 + random.integer(3) }, () => randomObject(random));
    steps.push(`receive ${JSON.stringify(objects)}`);
    socket.receive(...objects);
  } else if (kind === 6) {
    steps.push(`revise ${filter}`);
    if (random.chance(0.3)) sink.wishes.delete(filter);
    else sink.want({ filter, ...(random.chance(0.5) ? { after: '~1' } : { last: 2 }) });
    attempt.revise(filter);
  } else if (kind === 7) {
    steps.push('request');
    return attempt.request({ kind: 'publish', members: '"channel":"a","data":1' });
  } else if (kind === 8) {
    const ms = random.pick([0, 10, 500, 3000, 31_000]);
    steps.push(`advance ${ms}`);
    platform.clock.advance(ms);
  } else if (kind === 9) {
    steps.push('probe, renew, send');
    attempt.probe();
    attempt.renew('t');
    attempt.send('"channel":"v"');
  } else if (random.chance(0.2)) {
    steps.push('garbage');
    socket.receive(random.pick(GARBAGE));
  } else if (random.chance(0.1)) {
    steps.push('close');
    if (random.chance(0.5)) attempt.close();
    else socket.end(1006);
  }
  return undefined;
}

function randomObject(random: SeededRandom): object {
  const object: Record<string, unknown> = { type: random.pick(TYPES) };
  for (const [name, values] of Object.entries(FIELDS)) {
    if (random.chance(name === 'channel' || name === 'id' ? 0.7 : 0.4)) {
      object[name] = random.pick(values);
    }
  }
  return object;
}

const ENDINGS = ['lost', 'stale', 'refused'];

function checkTold(told: readonly string[]): void {
  const ready = told.indexOf('ready');
  const end = told.findIndex((word) => ENDINGS.includes(word));
  if (told.lastIndexOf('ready') !== ready) throw new Error('ready twice');
  if (ready > 0 || (ready < 0 && told.length > (end < 0 ? 0 : 1))) {
    throw new Error(`told before it was ready: ${told.join(', ')}`);
  }
  if (end >= 0 && end !== told.length - 1)
    throw new Error(`told after the end: ${told.join(', ')}`);
}
