/** The contract of brokers: who goes on from a mark loses nothing without being told. */
import { describe, expect, test } from 'vitest';
import type { Broker, ChangedChannel } from '@trunkline/server/internal/broker/broker.ts';
import { isOrigin } from '@trunkline/wire';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { ALL, AMPLE, draft, options, run, SETTINGS, textOf } from './broker-world.ts';
import type { BrokerTraits, BrokerWorld, CreateWorld } from './broker-world.ts';

const CHANNELS = ['a', 'b', 'c/1', 'c/2'];
const STEPS = 250;

/** A mark, and how many messages had been acknowledged when it was taken. */
interface Reader {
  readonly mark: string | undefined;
  readonly since: number;
}

/** Somebody who publishes, purges, restarts and resumes, and remembers what was acknowledged. */
class Explorer {
  readonly faults: string[] = [];
  /** How many resumes found everything, and how many were told of a loss. */
  readonly resumed = { whole: 0, lost: 0 };
  readonly #world: BrokerWorld;
  readonly #random: SeededRandom;
  readonly #published: { readonly channel: string; readonly text: string }[] = [];
  readonly #readers: Reader[] = [{ mark: undefined, since: 0 }];
  #broker: Broker;

  constructor(world: BrokerWorld, broker: Broker, random: SeededRandom) {
    this.#world = world;
    this.#broker = broker;
    this.#random = random;
  }

  async step(): Promise<void> {
    const chance = this.#random.integer(100);
    const channel = this.#random.pick(CHANNELS);
    if (chance < 55) await this.#publish(channel);
    else if (chance < 62) await this.#broker.purge(channel);
    else if (chance < 78) await this.#takeMark();
    else if (chance < 97) await this.#resume();
    else if (this.#world.traits.durable) await this.#restart(chance === 97);
  }

  async #publish(channel: string): Promise<void> {
    const retention = this.#random.chance(0.1) ? { ...AMPLE, countMax: 2 } : AMPLE;
    const given = options({ durable: this.#random.chance(0.7), retention });
    const count = 1 + this.#random.integer(3);
    const texts = Array.from({ length: count }, (_, index) => `${this.#published.length + index}`);
    await Promise.all(texts.map((text) => this.#broker.publish(channel, draft(text), given)));
    for (const text of texts) this.#published.push({ channel, text });
  }

  async #takeMark(): Promise<void> {
    const place = this.#broker.place();
    const mark = await this.#broker.mark();
    if (place !== mark) this.faults.push(`the place ${place} is not the mark ${mark}`);
    this.#readers.push({ mark, since: this.#published.length });
  }

  async #restart(crashes: boolean): Promise<void> {
    await (crashes ? this.#world.crash() : this.#broker.close());
    this.#broker = (await run(this.#world)).broker;
  }

  async #resume(): Promise<void> {
    const { mark, since } = this.#random.pick(this.#readers);
    const changed = await this.#broker.changedSince(mark, ['#']);
    if (changed === undefined) {
      this.faults.push(`the mark ${mark} is not read`);
      return;
    }
    const found = new Map(changed.map((change) => [change.channel, change]));
    for (const channel of CHANNELS) {
      const missed = this.#published.slice(since).filter((one) => one.channel === channel);
      const got = await this.#readOn(found.get(channel));
      if (got === undefined) continue;
      const lost = missed.filter(({ text }) => !got.includes(text));
      // Without a mark nobody says that he had seen anything: what is there is all he asks for.
      if (mark === undefined || lost.length === 0) continue;
      const words = lost.map(({ text }) => text).join(', ');
      this.faults.push(`${channel} lost ${words} since ${mark} (${since}) in silence`);
    }
  }

  /** What a reader gets who goes on from a change; `undefined` when he is told of a loss. */
  async #readOn(change: ChangedChannel | undefined): Promise<string[] | undefined> {
    if (change === undefined) return [];
    const { channel, position, stream } = change;
    const after = isOrigin(position) ? { epoch: stream.epoch, offset: 0 } : position;
    const bounds = await this.#broker.read(channel, { after: 0, countMax: 0, sizeMax: 0 });
    expect({ ...stream, messages: [] }).toEqual(bounds);
    const goesOn = after.epoch === stream.epoch && after.offset >= stream.oldest - 1;
    this.resumed[goesOn ? 'whole' : 'lost'] += 1;
    if (!goesOn) return undefined;
    const slice = await this.#broker.read(channel, { ...ALL, after: after.offset });
    return slice.messages.map(textOf);
  }
}

/** What is promised to those who go away and come back. */
export function describeResuming(traits: BrokerTraits, create: CreateWorld): void {
  describe('going on from a mark', () => {
    test.each([1, 2, 3, 4, 5, 6])('loses nothing in silence (seed %i)', async (seed) => {
      await using world = await create(SETTINGS);
      const { broker } = await run(world);
      const explorer = new Explorer(world, broker, seededRandom(seed));
      for (let step = 0; step < STEPS && explorer.faults.length === 0; step += 1) {
        await explorer.step();
      }
      expect(explorer.faults).toEqual([]);
      expect(explorer.resumed.whole).toBeGreaterThan(10);
      expect(explorer.resumed.lost).toBeGreaterThan(traits.durable ? 10 : 3);
    });
  });
}
