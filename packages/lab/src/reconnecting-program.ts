/**
 * Reconnecting program: a process of its own that has its connection cut again and again, and tells
 * what it holds. Run with `--expose-gc`, the address and the name of a transport.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, longPoll, shortPollEvery, sse, websocket } from '@trunkline/client';
import type { Clock } from '@trunkline/client';

/** What it tells its parent. */
export type Told =
  /** The connection is to be cut. */
  | { readonly kind: 'open' }
  | {
      readonly kind: 'held';
      /** Bytes after the first rounds, and after all of them. */
      readonly before: number;
      readonly after: number;
      readonly received: number;
    };

/** Its seconds in one of ours. */
const HASTE = 100;

/** Rounds until everything is there that stays, and rounds in which nothing more may be. */
const WARM_ROUNDS = 300;
const ROUNDS = 1000;

const [url = '', name = ''] = process.argv.slice(2);
const transport = [websocket, sse, longPoll, shortPollEvery(100)].find((one) => one.name === name);
const tell = (told: Told): void => void process.send?.(told);

async function held(): Promise<number> {
  for (let count = 0; count < 4; count += 1) {
    globalThis.gc?.();
    await sleep(20);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (transport !== undefined) {
  // Its time is faster, so that it comes back within milliseconds whatever it was told.
  const clock: Clock = {
    monotonicMs: () => performance.now() * HASTE,
    after(delayMs, task) {
      const timeout = setTimeout(task, delayMs / HASTE);
      return { cancel: () => clearTimeout(timeout) };
    },
  };
  const line = connect(url, { transports: [transport], clock, random: () => 0.01 });
  let opened = (): void => {};
  let received = 0;
  line.channel('a').subscribe({
    onMessage: () => void (received += 1),
    onOpen: () => opened(),
  });
  line.channel('b/+').subscribe(() => {});
  const round = (): Promise<void> => {
    const open = new Promise<void>((resolve) => (opened = resolve));
    tell({ kind: 'open' });
    return open;
  };
  await new Promise<void>((resolve) => (opened = resolve));
  for (let count = 0; count < WARM_ROUNDS; count += 1) await round();
  const before = await held();
  for (let count = 0; count < ROUNDS; count += 1) await round();
  const after = await held();
  line.close();
  tell({ kind: 'held', before, after, received });
  process.disconnect?.();
}
