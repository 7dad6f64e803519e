/** A hub over a scripted broker, on a manual clock, with subscribers over memory links. */
import { ManualClock, MemoryLink, seededRandom } from '@trunkline/testkit';
import type { Gap, Position } from '@trunkline/wire';
import { parseAfter } from '@trunkline/wire';
import { OPEN_NAMESPACE } from '../../src/config/namespace-rules.ts';
import type { NamespaceRules } from '../../src/config/namespace-rules.ts';
import { Hub } from '../../src/hub/hub.ts';
import type { Opened } from '../../src/hub/hub.ts';
import type { Caller, Encoding, Start, Subscriber } from '../../src/hub/hub-types.ts';
import { SharedBatch } from '../../src/link/shared-batch.ts';
import { Turn } from '../../src/link/turn.ts';
import type { LogFields } from '../../src/observe/log.ts';
import { silentLog } from '../../src/observe/log.ts';
import { Wheel } from '../../src/wheel.ts';
import { ScriptedBroker } from './scripted-broker.ts';

/** Writes offsets, so that a test reads what was delivered. */
export const offsetsEncoding: Encoding & { count: number } = {
  name: 'offsets',
  count: 0,
  encode(runs) {
    this.count += 1;
    const places = runs.flatMap(({ epoch, messages }) =>
      messages.map(({ offset }) => `${epoch}:${offset}`),
    );
    return new SharedBatch(Buffer.from(places.join(' ')), true);
  },
};

export const anyone: Caller = {
  identity: { kind: 'anonymous', grants: new Map() },
  session: 's1',
};

export class Listener implements Subscriber {
  readonly link: MemoryLink;
  readonly encoding: Encoding;
  readonly gaps: { readonly gap: Gap; readonly position: Position }[] = [];
  readonly #hub: Hub;
  opened: Opened | undefined;

  constructor(hub: Hub, link: MemoryLink, encoding: Encoding = offsetsEncoding) {
    this.#hub = hub;
    this.link = link;
    this.encoding = encoding;
    link.attach({
      onFrame() {},
      onDrain: () => {
        if (this.opened !== undefined) this.#hub.advance(this.opened.cursor);
      },
      onClose: () => {
        if (this.opened !== undefined) this.#hub.unsubscribe(this.opened.cursor);
      },
    });
  }

  onGap(_channel: string, gap: Gap, position: Position): void {
    this.gaps.push({ gap, position });
  }

  /** Positions delivered since the last call, in order. */
  take(): string[] {
    return this.link
      .takeFrames()
      .flatMap((frame) => (typeof frame === 'string' ? frame.split(' ') : []));
  }
}

/** @param onLog hears of what an operator should see. */
export function setUp(
  rules: Partial<NamespaceRules> = {},
  highWaterSize = 1_000,
  onLog: (text: string) => void = () => {},
) {
  const warn = (_fields: LogFields, text: string): void => onLog(text);
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const broker = new ScriptedBroker();
  const hub = new Hub({
    broker,
    clock,
    turn,
    wheel: new Wheel(clock),
    random: seededRandom(1),
    log: { ...silentLog, warn, error: warn },
    config: {
      rulesOf: () => ({ ...OPEN_NAMESPACE, ...rules }),
      allowsWhole: () => true,
      node: 'n1',
      keyWindowMs: 1000,
      highWaterSize,
      checkIntervalMs: 40_000,
    },
  });
  const publish = async (count: number, channel = 'news', size = 1): Promise<void> => {
    const payload = new Uint8Array(size).fill(0x31);
    for (let done = 0; done < count; done += 1) await hub.publish(anyone, channel, { payload });
    await clock.settle();
  };
  const listener = (allowance?: number): Listener =>
    new Listener(
      hub,
      new MemoryLink({ clock, turn, ...(allowance === undefined ? {} : { allowance }) }),
    );
  const subscribe = async (start: Start = {}, options: { allowance?: number } = {}) => {
    const subscriber = listener(options.allowance);
    subscriber.opened = await hub.subscribe(subscriber, anyone, 'news', start);
    hub.start(subscriber.opened.cursor);
    await clock.settle();
    return subscriber;
  };
  return { broker, clock, hub, turn, publish, listener, subscribe };
}

export function after(text: string): Start {
  return { after: parseAfter(text) };
}

export function range(first: number, last: number, epoch = 'e1'): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => `${epoch}:${first + index}`);
}
