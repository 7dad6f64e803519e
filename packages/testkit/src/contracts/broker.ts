/**
 * The contract of brokers: what every backplane owes the hub. A backplane's test calls
 * `describeBroker` with a way to make worlds for it.
 */
import { describe } from 'vitest';
import { describeAttributes } from './broker-attributes.ts';
import { describeLife } from './broker-life.ts';
import { describeMarks } from './broker-marks.ts';
import { describePublishing } from './broker-publishing.ts';
import { describePurging } from './broker-purging.ts';
import { describeReading } from './broker-reading.ts';
import { describeResuming } from './broker-resuming.ts';
import { describeWatching } from './broker-watching.ts';
import type { BrokerTraits, CreateWorld } from './broker-world.ts';

export type { BrokerSettings, BrokerTraits, BrokerWorld, CreateWorld } from './broker-world.ts';

/** Runs the contract against one kind of broker. */
export function describeBroker(name: string, traits: BrokerTraits, create: CreateWorld): void {
  describe(`${name} keeps the contract of brokers`, () => {
    describePublishing(create);
    describeAttributes(traits, create);
    describeReading(create);
    describeWatching(create);
    describeMarks(traits, create);
    describePurging(traits, create);
    describeResuming(traits, create);
    describeLife(traits, create);
  });
}
