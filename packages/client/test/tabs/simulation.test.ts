/**
 * Tabs by chance: tabs of one browser share a connection, and are opened, closed, crash, freeze and
 * wake up; connections are lost. Here's how it works:
 *
 * 1. A seed decides what happens, and in which order what was said arrives.
 * 2. Every tab reads names and a pattern from where it began, and publishes with keys.
 * 3. In the end all that live must have everything behind their beginnings, once and in order, and
 *    every publish that was answered is stored once.
 */
import { describe, expect, test } from 'vitest';
import { json } from '../../src/encodings/json.ts';
import { messagePort } from '../../src/tabs/ports.ts';
import { idOf } from '../../src/tabs/shared-transport.ts';
import type { SharedParts } from '../../src/tabs/shared-transport.ts';
import { WorkerHost } from '../../src/tabs/worker-host.ts';
import { fakePlatform } from '../support/fakes.ts';
import { FakePage, FakeWorld, fakeWorker } from '../support/tabs-fakes.ts';
import { FakeTab } from '../support/tabs-tab.ts';
import type { TabReading } from '../support/tabs-tab.ts';
import { FakeLog, FakeUpstream } from '../support/tabs-upstream.ts';

const SEEDS = Number(process.env['TABS_SEEDS'] ?? 40);
const FIRST_SEED = Number(process.env['TABS_SEED'] ?? 1);
const ACTIONS = 150;
const TABS_MAX = 7;
const CHANNELS = ['room/1', 'room/2', 'chat/1'];
const FILTERS = [...CHANNELS, 'room/+', '#'];

/** A browser with tabs in it. */
class Run {
  readonly world: FakeWorld;
  readonly log = new FakeLog();
  readonly tabs: FakeTab[] = [];
  readonly faults: string[] = [];
  readonly keys: string[] = [];
  readonly #usesWorker: boolean;
  #worker: { readonly page: FakePage; readonly host: WorkerHost } | undefined;
  #count = 0;

  constructor(seed: number, usesWorker: boolean) {
    this.world = new FakeWorld(seed);
    this.#usesWorker = usesWorker;
  }

  openTab(): void {
    this.#count += 1;
    const page = new FakePage(this.world, `tab ${this.#count}`);
    const worker = (name: string) => this.#workerFor(page, name);
    const tab = new FakeTab(page, {
      openUpstream: this.#openUpstream(page),
      ...(this.#usesWorker ? { worker } : {}),
    });
    for (const filter of FILTERS) if (this.world.random.chance(0.4)) tab.read(filter);
    tab.dial();
    this.tabs.push(tab);
  }

  crashWorker(): void {
    this.#worker?.page.die();
    this.#worker = undefined;
  }

  #openUpstream(page: FakePage): SharedParts['openUpstream'] {
    return () => {
      const upstream = new FakeUpstream(this.log, page);
      this.world.run(page, () => upstream.comeUp());
      return upstream;
    };
  }

  #workerFor(page: FakePage, name: string) {
    this.#worker ??= this.#startWorker(name);
    const { host, page: worker } = this.#worker;
    return fakeWorker(page, worker, (port) => host.accept(messagePort(port)));
  }

  #startWorker(name: string) {
    const page = new FakePage(this.world, 'worker');
    const platform = { ...fakePlatform(), clock: page.clock };
    const host = new WorkerHost({
      ...{ group: name, platform, locks: page.locks, encodings: [json] },
      newId: () => idOf({ random: () => this.world.random.fraction() }),
      openUpstream: this.#openUpstream(page),
    });
    return { page, host };
  }
}

async function act(run: Run): Promise<void> {
  const { world, tabs, log } = run;
  const { random } = world;
  const tab = tabs.length === 0 ? undefined : random.pick(tabs);
  const what = random.integer(100);
  if (what < 40) log.publish(random.pick(CHANNELS), log.messages.length);
  else if (what < 50 && tabs.length < TABS_MAX) run.openTab();
  else if (tab === undefined) return;
  else if (what < 55) {
    tabs.splice(tabs.indexOf(tab), 1);
    run.faults.push(...tab.faults);
    if (random.chance(0.5)) tab.close();
    tab.page.die();
  } else if (what < 62) tab.page.isFrozen = !tab.page.isFrozen;
  else if (what < 68) await world.rest(random.integer(20_000));
  else if (what < 72) {
    const upstream = [...log.upstreams].at(-1);
    if (upstream?.state.kind !== 'ready') return;
    upstream.goAway();
    if (random.chance(0.5)) await world.rest(random.integer(8000));
    if (!upstream.isClosed) upstream.comeUp();
  } else if (what < 76) {
    tab.close();
    tab.dial();
  } else if (what < 80) run.crashWorker();
  else if (what < 90) {
    const key = `k${run.keys.length}`;
    run.keys.push(key);
    tab.publish(key, random.pick(CHANNELS));
  } else {
    const filter = random.pick(FILTERS);
    if (tab.readings.has(filter)) tab.stopReading(filter);
    else tab.read(filter);
  }
  const steps = random.integer(30);
  for (let step = 0; step < steps; step += 1) await world.step();
}

/** What a reading got too much, too little or in another order. */
function faultsOf(tab: FakeTab, { filter, start, got }: TabReading, log: FakeLog): string[] {
  if (start === undefined) return [`${tab.page.name} never began to read ${filter}`];
  const wanted = log.after(filter, start);
  const faults = [];
  const channels = new Set([...wanted, ...got].map(({ channel }) => channel));
  for (const channel of channels) {
    const offsets = (all: typeof got) =>
      String(all.filter((one) => one.channel === channel).map(({ offset }) => offset));
    if (offsets(got) === offsets(wanted)) continue;
    faults.push(`${tab.page.name} ${filter} ${channel}: ${offsets(got)} not ${offsets(wanted)}`);
  }
  return faults;
}

async function simulate(seed: number, usesWorker: boolean): Promise<string[]> {
  const run = new Run(seed, usesWorker);
  const { world, tabs, log } = run;
  run.openTab();
  for (let count = 0; count < ACTIONS; count += 1) await act(run);
  for (const { page } of tabs) page.isFrozen = false;
  // Long enough to find the dead ones and to come back from everything.
  await world.rest(120_000);
  for (const channel of CHANNELS) log.publish(channel, 'last');
  await world.rest(1000);
  const connections = [...log.upstreams].filter((one) => one.readingCount > 0).length;
  return [
    ...run.faults,
    ...tabs.flatMap(({ faults }) => faults),
    ...tabs.flatMap((tab) => (tab.isReady ? [] : [`${tab.page.name} is not connected`])),
    ...tabs.flatMap((tab) =>
      [...tab.readings.values()].flatMap((reading) => faultsOf(tab, reading, log)),
    ),
    ...run.keys.flatMap((key) => {
      const count = log.messages.filter(({ data }) => data === key).length;
      return count > 1 ? [`${key} is stored ${count} times`] : [];
    }),
    ...(connections > 1 ? [`${connections} connections are read`] : []),
  ];
}

describe.each([
  { who: 'the tab that leads', usesWorker: false },
  { who: 'a worker', usesWorker: true },
])('tabs that share the connection of $who', ({ usesWorker }) => {
  test(`[GUA-1] [GUA-3] [GUA-4] [GUA-6] miss nothing and get nothing twice, over ${SEEDS} seeds`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed += 1) {
      expect(await simulate(seed, usesWorker), `seed ${seed}`).toEqual([]);
    }
  }, 60_000);
});
