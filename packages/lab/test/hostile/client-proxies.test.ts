/** The client behind proxies that block, hold back, cut, delay and refuse, and without a network. */
import { longPoll, shortPoll, sse, websocket } from '@trunkline/client';
import type { TransportName, TriedTransport } from '@trunkline/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Mood } from '../../src/proxy.ts';
import { TroubledLine } from './troubled-line.ts';

const WAYS = [websocket, sse, longPoll, shortPoll];

const passes: Mood = ({ pass }) => pass();
const isStream = (path: string) => path === '/v1/sse';

function tried({ line }: TroubledLine, name: TransportName): TriedTransport | undefined {
  return line.explain().tried.find((one) => one.name === name);
}

/** Opens a line behind such a proxy. */
function behind(mood: Mood, options = {}): Promise<TroubledLine> {
  return TroubledLine.open(options, (proxy) => (proxy.mood = mood));
}

describe('a proxy that blocks upgrades', () => {
  test.each([
    ['with 400', ({ isUpgrade, answer, pass }) => (isUpgrade ? answer(400) : pass())],
    ['with 426', ({ isUpgrade, answer, pass }) => (isUpgrade ? answer(426) : pass())],
    ['by an end', ({ isUpgrade, socket, pass }) => (isUpgrade ? void socket.end() : pass())],
    ['in silence', ({ isUpgrade, pass }) => (isUpgrade ? undefined : pass())],
  ] satisfies [string, Mood][])(
    '%s: steps down, says so, and climbs when it may',
    async (_, mood) => {
      await using troubled = await behind(mood);
      const { line, proxy } = troubled;
      await troubled.publish(2);
      await troubled.until('a connection', () => line.state === 'connected');
      expect(line.transport).toBe('sse');
      expect(tried(troubled, 'websocket')).toMatchObject({
        verdict: 'failed',
        reason: expect.stringContaining('a proxy may block upgrades') as string,
      });
      await troubled.publish(2);
      // It is tried again now and then, ever more seldom.
      troubled.asked();
      await troubled.pass(600_000);
      const upgrades = troubled.asked().filter((one) => one.startsWith('UPGRADE'));
      expect(upgrades.length).toBeGreaterThan(2);
      expect(upgrades.length).toBeLessThan(8);
      proxy.mood = passes;
      await troubled.publish(2);
      await troubled.until('the better way', () => line.transport === 'websocket');
      expect(tried(troubled, 'websocket')).toMatchObject({ verdict: 'in use' });
      await troubled.expectAll();
    },
  );
});

describe('a proxy that holds streams back', () => {
  test('has it poll, and say why', async () => {
    const mood: Mood = ({ isUpgrade, path, answer, pass }) =>
      isUpgrade ? answer(400) : pass({ isBuffered: isStream(path) });
    await using troubled = await behind(mood);
    await troubled.publish(2);
    await troubled.until('a connection', () => troubled.line.state === 'connected');
    expect(troubled.line.transport).toBe('long-poll');
    expect(tried(troubled, 'sse')?.reason).toContain('a proxy may buffer answers');
    await troubled.expectAll();
    await troubled.pass(60_000);
    expect(troubled.line.transport).toBe('long-poll');
  });

  test('and cuts what waits has it ask now and then', async () => {
    const mood: Mood = ({ isUpgrade, path, socket, answer, pass }) => {
      if (isUpgrade || isStream(path)) answer(403);
      else {
        pass();
        // What takes longer than a turn is cut.
        troubled?.clock.after(3000, () => socket.destroy());
      }
    };
    let troubled: TroubledLine | undefined = undefined as TroubledLine | undefined;
    troubled = await behind(mood);
    await using closing = troubled;
    await troubled.until('short polls', () => closing.line.transport === 'short-poll');
    expect(tried(troubled, 'sse')?.reason).toContain('HTTP status 403');
    expect(tried(troubled, 'long-poll')?.verdict).toBe('unstable');
    await troubled.expectAll();
  });
});

describe.each(WAYS)('over $name a proxy', (transport) => {
  const options = { transports: [transport] };

  test.each([1000, 7000, 30_000])('that cuts everything after %i ms loses nothing', async (ms) => {
    const ends: (() => void)[] = [];
    const mood: Mood = ({ socket, pass }) => {
      pass();
      ends.push(() => socket.destroy());
    };
    await using troubled = await behind(mood, options);
    let cuts = 0;
    const cut = () => {
      cuts += 1;
      for (const end of ends.splice(0)) end();
      timer = troubled.clock.after(ms, cut);
    };
    let timer = troubled.clock.after(ms, cut);
    onTestFinished(() => timer.cancel());
    for (let round = 0; round < 30; round += 1) {
      await troubled.publish(1);
      await troubled.pass(2000);
    }
    expect(cuts).toBeGreaterThan(60_000 / ms - 2);
    // A short poll asks every two seconds by itself.
    expect(troubled.asked().length).toBeLessThan(250);
    await troubled.expectAll();
  });

  test('that delays everything by 2 s only makes it slow', async () => {
    const mood: Mood = ({ pass }) => void troubled.clock.after(2000, () => pass());
    const troubled: TroubledLine = await behind(mood, options);
    await using closing = troubled;
    await troubled.publish(3);
    await troubled.expectAll();
    const published = closing.line.publish('other', 1);
    await troubled.until('an answer', () => closing.line.waiting === 0);
    expect(await published).toMatchObject({ offset: 1 });
  });

  test.each([429, 502, 503, 504])('that answers %i for a while is waited for', async (status) => {
    await using troubled = await behind(passes, options);
    const { line, proxy } = troubled;
    await troubled.publish(2);
    await troubled.until('a connection', () => line.state === 'connected');
    proxy.mood = ({ answer }) => answer(status, '<html>', { 'retry-after': '2' });
    proxy.cut();
    troubled.asked();
    const published = line.publish('other', 1);
    await troubled.pass(120_000);
    expect(line.state).toBe('connecting');
    expect(troubled.asked().length).toBeLessThan(90);
    proxy.mood = passes;
    await troubled.expectAll();
    expect(await published).toMatchObject({ offset: 1 });
  });

  test.each([1000, 60_000, 600_000])('without a network for %i ms it comes back', async (ms) => {
    await using troubled = await behind(passes, options);
    const { line, proxy } = troubled;
    await troubled.publish(2);
    await troubled.until('the messages', () => troubled.offsets.length === 2);
    proxy.mood = ({ socket }) => void socket.resetAndDestroy();
    proxy.cut();
    troubled.asked();
    const published = line.publish('other', 1);
    await troubled.publish(2);
    await troubled.pass(ms);
    // Every 2.5 s in the middle, after the first few.
    expect(troubled.asked().length).toBeLessThan(10 + ms / 1500);
    proxy.mood = passes;
    await troubled.expectAll();
    expect(await published).toMatchObject({ offset: 1 });
  });

  test('whose other end vanishes without a word is noticed', async () => {
    await using troubled = await behind(passes, options);
    const { line, proxy } = troubled;
    await troubled.publish(2);
    await troubled.until('the messages', () => troubled.offsets.length === 2);
    // Nothing is answered any more, and nothing is closed.
    proxy.mood = () => {};
    proxy.mute();
    const published = line.publish('other', 1);
    await troubled.publish(2);
    await troubled.pass(50_000);
    expect(line.state).toBe('connecting');
    expect(troubled.reason).toMatch(/no answer|fell silent|no welcome/);
    proxy.mood = passes;
    await troubled.expectAll();
    expect(await published).toMatchObject({ offset: 1 });
  });
});

test('a proxy that always says when to come back does not keep it from other ways', async () => {
  const mood: Mood = ({ isUpgrade, path, answer, pass }) =>
    isUpgrade || isStream(path) ? answer(503, 'no', { 'retry-after': '1' }) : pass();
  await using troubled = await behind(mood);
  await troubled.until('a connection', () => troubled.line.state === 'connected');
  expect(troubled.line.transport).toBe('long-poll');
  expect(tried(troubled, 'sse')?.reason).toContain('it was told when to come back');
  await troubled.expectAll();
});
