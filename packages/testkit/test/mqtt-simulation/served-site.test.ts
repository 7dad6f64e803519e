import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/manual-clock.ts';
import { MqttClient } from '../../src/mqtt-simulation/mqtt-client.ts';
import { MqttRecorder } from '../../src/mqtt-simulation/mqtt-recorder.ts';
import type { MqttServer } from '../../src/mqtt-simulation/mqtt-site.ts';
import { sayingBytes } from '../../src/mqtt-simulation/sayings.ts';
import { ServedSite } from '../../src/mqtt-simulation/served-site.ts';
import { seededRandom } from '../../src/random.ts';

async function setUp() {
  const clock = new ManualClock();
  const recorder = new MqttRecorder(clock);
  const site = new ServedSite({ clock, recorder, random: seededRandom(1) });
  const start = async (): Promise<MqttServer> => {
    const starting = site.start();
    await clock.pass(1_000);
    return starting;
  };
  return { clock, recorder, site, start };
}

describe('ServedSite', () => {
  test('writes down what comes into the log, and when the server knows it', async () => {
    const { clock, recorder, start } = await setUp();
    const server = await start();
    void server.publish('ann', 'news', sayingBytes('p1', 3));
    await clock.pass(1_000);
    expect(recorder.events).toMatchObject([
      { kind: 'committed', channel: 'news', payload: 'p1', position: expect.stringMatching(/:1$/) },
      { kind: 'known', channel: 'news' },
    ]);
  });

  test('starts a process with what the one before has stored', async () => {
    const { clock, recorder, start } = await setUp();
    const random = seededRandom(2);
    const traits = { user: 'ann', clientId: 'c', version: 5, keepsSession: true } as const;
    const filters = new Map([['news', 1 as const]]);
    const client = new MqttClient(
      { ...traits, expiry: 100, positions: false, filters },
      { recorder, random, clock, mayLose: () => false },
    );
    const first = await start();
    client.connect(first);
    await clock.pass(1_000);
    first.kill();
    client.loseServer();
    const second = await start();
    client.connect(second);
    await clock.pass(1_000);
    void second.publish('ann', 'news', sayingBytes('p1', 0));
    await clock.pass(1_000);
    const { events } = recorder;
    const welcomes = events.filter(({ kind }) => kind === 'welcome');
    expect(welcomes).toMatchObject([{ sessionPresent: false }, { sessionPresent: true }]);
    expect(events.at(-1)).toMatchObject({ kind: 'delivered', payload: 'p1', qos: 1 });
  });
});
