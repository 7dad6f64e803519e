/** A hub with readers of several channels over memory links. */
import { MemoryLink } from '@trunkline/testkit';
import type { Gap, Position } from '@trunkline/wire';
import type { Encoding, Start } from '../../../src/hub/hub-types.ts';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import type { SelectionSubscriber } from '../../../src/hub/selection/selection-cursor.ts';
import type { OpenedSelection } from '../../../src/hub/selection/selection-opening.ts';
import { SharedBatch } from '../../../src/link/shared-batch.ts';
import { anyone, setUp } from '../hub-setup.ts';

/** Writes `channel:offset` for each message, and the mark behind them. */
export function placesEncoding(): Encoding & { count: number } {
  return {
    name: 'places',
    count: 0,
    encode(runs, mark) {
      this.count += 1;
      const places = runs.flatMap(({ channel, messages }) =>
        messages.map(({ offset }) => `${channel}:${offset}`),
      );
      const text = [...places, ...(mark === undefined ? [] : [mark])].join(' ');
      return new SharedBatch(Buffer.from(text), true);
    },
  };
}

export class SelectionListener implements SelectionSubscriber {
  readonly link: MemoryLink;
  readonly encoding: Encoding & { count: number };
  readonly gaps: { channel: string; gap: Gap; position: Position }[] = [];
  readonly marks: string[] = [];
  opened: OpenedSelection | undefined;

  constructor(link: MemoryLink, encoding: Encoding & { count: number }) {
    this.link = link;
    this.encoding = encoding;
  }

  onGap(channel: string, gap: Gap, position: Position): void {
    this.gaps.push({ channel, gap, position });
  }

  onMark(_filters: readonly string[], mark: string): void {
    this.marks.push(mark);
  }

  /** What was delivered since the last call, marks included. */
  take(): string[] {
    return this.link.takeFrames().flatMap((frame) => String(frame).split(' '));
  }

  /** The same without marks. */
  takeMessages(): string[] {
    return this.take().filter((place) => !place.startsWith('~'));
  }
}

export async function setUpSelections(highWaterSize = 100, rules: Partial<NamespaceRules> = {}) {
  const world = setUp(rules, highWaterSize);
  const { clock, hub, turn } = world;
  await hub.open();
  const encoding = placesEncoding();
  const open = async (starts: Record<string, Start>, session?: string) => {
    const listener = new SelectionListener(new MemoryLink({ clock, turn }), encoding);
    const muted = session === undefined ? {} : { mutedSession: session };
    const opened = await hub.subscribeMany(
      listener,
      anyone,
      new Map(Object.entries(starts)),
      muted,
    );
    listener.opened = opened;
    listener.link.attach({
      onFrame() {},
      onDrain: () => hub.advance(opened.cursor),
      onClose: () => hub.unsubscribe(opened.cursor),
    });
    return listener;
  };
  const follow = async (starts: Record<string, Start>, session?: string) => {
    const listener = await open(starts, session);
    if (listener.opened !== undefined) hub.start(listener.opened.cursor);
    await clock.settle();
    return listener;
  };
  return { ...world, encoding, open, follow };
}
