/** What the contract of brokers needs: a world in which a broker runs, stops, crashes and ages. */
import { expect } from 'vitest';
import type {
  Broker,
  BrokerSink,
  PublishOptions,
  ReadRange,
  Retention,
} from '@trunkline/server/internal/broker/broker.ts';
import type { Draft, Message } from '@trunkline/wire';

/** What differs between brokers that all keep the contract. */
export interface BrokerTraits {
  /** Streams and state outlive the process. */
  readonly durable: boolean;
}

/** The bounds that the suite sets so that it can reach them. */
export interface BrokerSettings {
  readonly keyWindowMs: number;
  readonly keysPerChannelMax: number;
  readonly metadataMs: number;
}

/** The settings the suite asks for. */
export const SETTINGS: BrokerSettings = {
  keyWindowMs: 3_600_000,
  keysPerChannelMax: 5,
  metadataMs: 30 * 86_400_000,
};

/** One storage, and the processes that use it one after the other. */
export interface BrokerWorld extends AsyncDisposable {
  readonly traits: BrokerTraits;
  /** Starts a process: a broker over what the last one left. It is not opened yet. */
  start(): Promise<Broker>;
  /** Ends the present process without a goodbye. What it was asked is never answered. */
  crash(): Promise<void>;
  /** Lets time pass, and everything that is due in it be done. */
  pass(ms: number): Promise<void>;
  /** Moves the wall clock alone, also back. */
  stepUnix(ms: number): void;
}

/** Makes a world with an empty storage. */
export type CreateWorld = (settings: BrokerSettings) => Promise<BrokerWorld>;

/** What a sink was told. */
export interface Told {
  readonly channel: string;
  readonly epoch: string;
  readonly message: Message;
}

/** A sink that remembers. */
export class RecordingSink implements BrokerSink {
  readonly told: Told[] = [];
  readonly gaps: string[] = [];
  readonly broadcasts: { readonly channel: string; readonly draft: Draft }[] = [];
  /** Called with each message, e.g. to look at the broker at that moment. */
  onTold: ((told: Told) => void) | undefined;
  /** The same with each gap. */
  onGapTold: ((channel: string) => void) | undefined;

  onMessage(channel: string, epoch: string, message: Message): void {
    const told = { channel, epoch, message };
    this.told.push(told);
    this.onTold?.(told);
  }

  onGap(channel: string): void {
    this.gaps.push(channel);
    this.onGapTold?.(channel);
  }

  onBroadcast(channel: string, given: Draft): void {
    this.broadcasts.push({ channel, draft: given });
  }

  /** The offsets told of a channel. */
  offsets(channel: string): number[] {
    return this.told
      .filter((told) => told.channel === channel)
      .map(({ message }) => message.offset);
  }
}

/** An open broker and its sink. */
export interface Running {
  readonly broker: Broker;
  readonly sink: RecordingSink;
}

/** Starts a process and opens its broker. */
export async function run(world: BrokerWorld): Promise<Running> {
  const broker = await world.start();
  const sink = new RecordingSink();
  await broker.open(sink);
  return { broker, sink };
}

/** Retention that nothing in a test reaches. */
export const AMPLE: Retention = { countMax: 1000, sizeMax: 2 ** 20, ageMsMax: 86_400_000 };

/** Everything that is retained. */
export const ALL: ReadRange = { after: 0, countMax: 10_000, sizeMax: 2 ** 30 };

/** A draft with this text as its JSON payload. */
export function draft(text: string): Draft {
  return { payload: new TextEncoder().encode(JSON.stringify(text)) };
}

/** The text of a payload made by {@link draft}. */
export function textOf(message: Message): string {
  return String(JSON.parse(new TextDecoder().decode(message.payload)));
}

/** Options of a publish, with what a test changes. */
export function options(
  changes: Partial<PublishOptions> & { readonly key?: string; readonly scope?: string } = {},
): PublishOptions {
  const { key, scope = 'alice', retention = AMPLE, durable = true } = changes;
  if (key === undefined) return { retention, durable };
  return { retention, durable, idempotency: { key, scope } };
}

/** Publishes texts one after the other. @returns the offsets. */
export async function publishAll(
  broker: Broker,
  channel: string,
  texts: readonly string[],
  given: PublishOptions = options(),
): Promise<number[]> {
  const offsets: number[] = [];
  for (const text of texts) {
    const { position } = await broker.publish(channel, draft(text), given);
    offsets.push(position.offset);
  }
  return offsets;
}

/** Expects that the channel retains exactly these texts. */
export async function expectStream(
  broker: Broker,
  channel: string,
  texts: readonly string[],
): Promise<void> {
  const slice = await broker.read(channel, ALL);
  expect(slice.messages.map(textOf)).toEqual(texts);
  const { oldest, top } = slice;
  expect(oldest).toBe(top - texts.length + 1);
  expect(slice.messages.map(({ offset }) => offset)).toEqual(
    texts.map((_, index) => oldest + index),
  );
}
