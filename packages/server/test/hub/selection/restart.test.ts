import { expect, test } from 'vitest';
import type { SelectionSubscriber } from '../../../src/hub/selection/selection-cursor.ts';
import type { Encoding } from '../../../src/hub/hub-types.ts';
import { SharedBatch } from '../../../src/link/shared-batch.ts';
import { anyone, Listener, setUp } from '../hub-setup.ts';

const payloads: Encoding = {
  name: 'payloads',
  encode(runs) {
    const text = runs.flatMap(({ messages }) => messages.map(({ payload }) => payload)).join(' ');
    return new SharedBatch(Buffer.from(text), true);
  },
};

class PatternListener extends Listener implements SelectionSubscriber {
  onMark(): void {}
}

test('a pattern begun anew has of volatile channels what comes from its answer on [VOL-2]', async () => {
  const { hub, clock, publish, listener } = setUp({ volatile: true });
  await hub.open();
  const reader = new PatternListener(hub, listener().link, payloads);
  const starts = new Map([['room/+', {}]]);
  const before = await hub.subscribeMany(reader, anyone, starts);
  hub.start(before.cursor);
  const after = await hub.subscribeMany(reader, anyone, starts);
  await publish(1, 'room/1');
  expect(reader.link.takeFrames()).toHaveLength(1);
  hub.unsubscribe(before.cursor);
  hub.start(after.cursor);
  await clock.settle();
  expect(reader.link.takeFrames()).toEqual([]);
  await publish(1, 'room/1');
  expect(reader.link.takeFrames()).toHaveLength(1);
});
