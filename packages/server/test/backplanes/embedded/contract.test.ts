/** The embedded backplane keeps the contracts, on disk and in memory. */
import { describeBroker } from '@trunkline/testkit/contracts/broker';
import { describeState } from '@trunkline/testkit/contracts/state';
import { memoryWorld, sqliteWorld } from './worlds.ts';

describeBroker('EmbeddedBroker in memory', { durable: false }, memoryWorld);
describeBroker('EmbeddedBroker on disk', { durable: true }, sqliteWorld);
describeState('EmbeddedBroker in memory', { durable: false }, memoryWorld);
describeState('EmbeddedBroker on disk', { durable: true }, sqliteWorld);
