import { describe, expect, test } from 'vitest';
import { formatPosition } from '@trunkline/wire';
import type { Start } from '../../../src/hub/hub-types.ts';
import { after, anyone, setUp } from '../hub-setup.ts';

const KEPT = { history: { countMax: 100, sizeMax: 1e9, ageMsMax: Infinity } };

/** Two channels in memory, of which retention took all but the newest message since the mark. */
async function setUpForgotten() {
  const { broker, hub, publish } = setUp(KEPT);
  await hub.open();
  const poll = (starts: Record<string, Start>) =>
    hub.read(anyone, { channels: new Map(Object.entries(starts)), countMax: 100, waitMs: 0 });
  await poll({ 'room/1': {}, 'room/2': {} }); // Memory keeps what comes.
  await publish(2, 'room/1');
  await publish(2, 'room/2');
  const { mark = '' } = await poll({ 'room/1': {}, 'room/2': {} });
  await publish(2, 'room/1');
  await publish(2, 'room/2');
  broker.forgetsPlaces = true;
  broker.trim('room/1', 4);
  broker.trim('room/2', 4);
  return { poll, mark };
}

describe('a poll by a mark that the log can not place in a channel any more [GUA-4]', () => {
  const lost = { recovered: false, gap: { reason: 'trimmed' }, messages: [], end: { offset: 4 } };

  test('gives nothing again of a name, though memory has it', async () => {
    const { poll, mark } = await setUpForgotten();
    expect((await poll({ 'room/1': after(mark) })).channels).toMatchObject([lost]);
  });

  test('gives nothing again of several names', async () => {
    const { poll, mark } = await setUpForgotten();
    const { channels } = await poll({ 'room/1': after(mark), 'room/2': after(mark) });
    expect(channels).toMatchObject([lost, lost]);
  });

  test('gives what is left where that is asked for', async () => {
    const { poll, mark } = await setUpForgotten();
    const { channels } = await poll({ 'room/1': { ...after(mark), partial: true } });
    expect(channels).toMatchObject([
      { recovered: false, gap: { to: 3 }, messages: [{ offset: 4 }], end: { offset: 4 } },
    ]);
  });

  test('gives nothing again to a pattern that matches a name', async () => {
    const { poll, mark } = await setUpForgotten();
    const { channels, patterns } = await poll({ 'room/1': {}, 'room/#': after(mark) });
    expect(channels.flatMap(({ messages }) => messages)).toEqual([]);
    expect(patterns.get('room/#')).toMatchObject({ recovered: false, gap: { reason: 'trimmed' } });
  });
});

test('a name that a read has come to is not sent back to its beginning [GUA-4]', async () => {
  const { broker, hub, publish } = setUp(KEPT);
  await hub.open();
  const poll = (starts: Record<string, Start>, countMax = 100) =>
    hub.read(anyone, { channels: new Map(Object.entries(starts)), countMax, waitMs: 0 });
  const start = after('start');
  await poll({ 'room/1': {}, 'room/2': {} }); // Memory keeps what comes.
  await publish(2, 'room/1');
  await publish(2, 'room/2');
  const cut = await poll({ 'room/1': start, 'room/2': start }, 2);
  expect(cut.channels).toMatchObject([{ end: { offset: 2 } }, { end: { offset: 0 } }]);
  await publish(3, 'room/1');
  broker.forgetsPlaces = true;
  broker.trim('room/1', 5);
  const late = await poll({ 'room/1': after(cut.mark ?? ''), 'room/2': after(cut.mark ?? '') });
  const end = late.channels[0]?.end ?? { epoch: '', offset: 0 };
  const given = (late.channels[0]?.messages ?? []).map(({ offset }) => offset);
  const next = await poll({ 'room/1': after(formatPosition(end)) });
  given.push(...(next.channels[0]?.messages ?? []).map(({ offset }) => offset));
  expect(given.every((offset) => offset > 2)).toBe(true);
  expect([late.channels[0], next.channels[0]].some((read) => read?.recovered === false)).toBe(true);
});
