import { describe, expect, test } from 'vitest';
import { anyone } from '../hub-setup.ts';
import { away } from '../scripted-broker.ts';
import { setUpSelections } from './selection-setup.ts';

describe('selections', () => {
  test('are shared by those who ask for the same, in whatever order', async () => {
    const { broker, follow } = await setUpSelections();
    const one = await follow({ 'a/+': {}, b: {} });
    const other = await follow({ b: {}, 'a/+': {} });
    expect(other.opened?.cursor.selection).toBe(one.opened?.cursor.selection);
    one.link.drop();
    other.link.drop();
    await follow({ c: {} });
    expect(broker.patterns).toEqual(new Set());
  });

  test('that can not be watched are refused, and leave nothing behind', async () => {
    const { broker, clock, open } = await setUpSelections();
    broker.watchFailure = away;
    await expect(open({ 'a/+': {}, b: {} })).rejects.toMatchObject({ code: 'unavailable' });
    expect(broker.patterns).toEqual(new Set());
    broker.watchFailure = undefined;
    const reader = await open({ 'a/+': {}, b: {} });
    expect(reader.opened?.mark).toMatch(/^~0/);
    reader.link.drop();
    await clock.pass(60_000);
    expect(broker.watched).toEqual(new Set());
  });

  test('watch a pattern as long as one of them has it', async () => {
    const { broker, clock, follow } = await setUpSelections();
    const one = await follow({ 'a/+': {} });
    const two = await follow({ 'a/+': {}, 'b/+': {} });
    one.link.drop();
    await clock.settle();
    expect(broker.patterns).toEqual(new Set(['a/+', 'b/+']));
    two.link.drop();
    await clock.settle();
    expect(broker.patterns).toEqual(new Set());
  });
});

describe('channels that a pattern brought', () => {
  test('are not taken for followed once no pattern covers them', async () => {
    const { clock, follow, publish } = await setUpSelections();
    const first = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    first.link.drop();
    await clock.settle();
    await publish(2, 'a/1'); // Nobody is told of these.
    const second = await follow({ 'a/+': { after: { kind: 'start' } } });
    expect(second.takeMessages()).toEqual(['a/1:1', 'a/1:2', 'a/1:3']);
  });

  test('are not followed either when being followed by name failed meanwhile', async () => {
    const { broker, clock, follow, listener, hub, publish } = await setUpSelections();
    const first = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    broker.watchFailure = away;
    const named = hub.subscribe(listener(), anyone, 'a/1', {});
    first.link.drop();
    await expect(named).rejects.toMatchObject({ code: 'unavailable' });
    broker.watchFailure = undefined;
    await clock.settle();
    await publish(2, 'a/1');
    const second = await follow({ 'a/+': {} });
    await publish(1, 'a/1');
    expect(second.takeMessages()).toEqual(['a/1:4']);
  });

  test('lose nothing when they are opened by name while the sink lags behind the log', async () => {
    const { broker, clock, follow, subscribe, hub } = await setUpSelections();
    const reader = await follow({ '#': {} });
    broker.holdSink();
    void hub.publish(anyone, 'news', { payload: new Uint8Array(1) });
    const named = await subscribe({ after: { kind: 'start' } });
    broker.releaseSink();
    await clock.settle();
    expect(reader.takeMessages()).toEqual(['news:1']);
    expect(named.take()).toEqual(['e1:1']);
  });
});
