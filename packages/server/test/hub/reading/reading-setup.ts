/** A hub over the embedded broker in memory, on a manual clock, and short words for its reads. */
import { ManualClock, seededRandom } from '@trunkline/testkit';
import { parseAfter } from '@trunkline/wire';
import { ACTIONS } from '../../../src/auth/identity.ts';
import { createEmbeddedBroker } from '../../../src/backplanes/embedded/create.ts';
import { OPEN_NAMESPACE } from '../../../src/config/namespace-rules.ts';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import { Hub } from '../../../src/hub/hub.ts';
import type {
  Caller,
  PublishRequest,
  ReadRequest,
  ReadResult,
  Start,
} from '../../../src/hub/hub-types.ts';
import { Turn } from '../../../src/link/turn.ts';
import { silentLog } from '../../../src/observe/log.ts';
import { Wheel } from '../../../src/wheel.ts';
import { anyone } from '../hub-setup.ts';

const ALL = { anonymous: ACTIONS, user: ACTIONS };

export const application: Caller = {
  identity: { kind: 'server', grants: new Map() },
  session: 'application',
};

/** What a read asks for beside its channels. */
export type ReadOptions = Partial<Omit<ReadRequest, 'channels'>> & {
  readonly start?: Start;
  readonly caller?: Caller;
};

/** @param rulesOf what differs from an open namespace, by channel. */
export async function setUp(rulesOf: (channel: string) => Partial<NamespaceRules> = () => ({})) {
  const clock = new ManualClock();
  const random = seededRandom(1);
  const turn = new Turn(clock);
  const broker = createEmbeddedBroker({ clock, random, log: silentLog });
  const hub = new Hub({
    ...{ broker, clock, turn, random },
    wheel: new Wheel(clock),
    log: silentLog,
    config: {
      rulesOf: (channel) => ({ ...OPEN_NAMESPACE, allow: ALL, ...rulesOf(channel) }),
      allowsWhole: () => true,
      node: 'n1',
      keyWindowMs: 1000,
      highWaterSize: 64 * 1024,
      checkIntervalMs: 40_000,
    },
  });
  await hub.open();
  /** Publishes messages whose payloads are the texts given. */
  const publish = async (
    channel: string,
    payloads: readonly string[],
    request: Partial<PublishRequest> = {},
  ): Promise<void> => {
    const published = payloads.map((text) =>
      hub.publish(anyone, channel, { payload: Buffer.from(text), ...request }),
    );
    await clock.settle();
    await Promise.all(published);
    await clock.settle();
  };
  const begin = (filters: readonly string[], options: ReadOptions = {}): Promise<ReadResult> => {
    const { start = {}, caller = anyone, ...request } = options;
    const channels = new Map(filters.map((filter) => [filter, start]));
    return hub.read(caller, { channels, waitMs: 0, countMax: 100, ...request });
  };
  /** A read that is answered at once. */
  const read = async (
    filters: readonly string[],
    start: Start = {},
    options: ReadOptions = {},
  ): Promise<ReadResult> => {
    const reading = begin(filters, { start, ...options });
    await clock.settle();
    return reading;
  };
  /** A read that waits when this returns, unless there is something already. */
  const wait = async (
    filters: readonly string[],
    start: Start = {},
    options: ReadOptions = {},
  ): Promise<{ readonly answer: Promise<ReadResult> }> => {
    const answer = begin(filters, { start, waitMs: 30_000, ...options });
    await clock.settle();
    return { answer };
  };
  return { broker, clock, hub, publish, begin, read, wait };
}

/** Begins after what a client may say. */
export function after(text: string | undefined): Start {
  return { after: parseAfter(text ?? 'no mark') };
}

/** The texts that a read gave, with their channels. */
export function texts({ channels, passing }: ReadResult): string[] {
  const runs = [...channels, ...passing];
  return runs.flatMap(({ channel, messages }) =>
    messages.map(({ payload }) => `${channel} ${Buffer.from(payload).toString()}`),
  );
}
