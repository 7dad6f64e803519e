import { describe, expect, it } from 'vitest';
import {
  GAP_PROPERTY,
  Losses,
  lossProperties,
  LOSSES_MAX,
  MORE_LOSSES,
} from '../../../../src/protocols/mqtt/session/losses.ts';
import type { Loss } from '../../../../src/protocols/mqtt/session/losses.ts';

const loss = (index: number): Loss => ({
  channel: `a/${index}`,
  gap: { reason: 'trimmed', from: 1, to: index },
});

const ROOM = 10_000;

describe('Losses', () => {
  it('are told by one packet, and forgotten when the client has acknowledged that', () => {
    const losses = new Losses();
    losses.resume([]);
    losses.add(loss(1));
    losses.add(loss(2));
    expect(losses.isDue).toBe(true);
    expect(losses.tellBy(7, 10)).toHaveLength(0);
    expect(losses.tellBy(8, ROOM).length).toBeGreaterThan(0);
    expect(losses.isDue).toBe(false);
    expect(losses.onAcknowledged(7)).toBe(false);
    expect(losses.untold).toEqual([loss(1), loss(2)]);
    expect(losses.onAcknowledged(8)).toBe(true);
    expect(losses.untold).toEqual([]);
    expect(losses.onAcknowledged(8)).toBe(false);
  });

  it('are told by CONNACK, and forgotten when the client sends anything after it', () => {
    const losses = new Losses();
    losses.addEarly(loss(2));
    expect(losses.resume([loss(1)])).toEqual([loss(1), loss(2)]);
    expect(losses.takeEarly()).toEqual([]);
    expect(losses.onHeard()).toBe(true);
    expect(losses.untold).toEqual([]);
    expect(losses.onHeard()).toBe(false);
  });

  it('stay untold where CONNACK did not tell all of them', () => {
    const losses = new Losses();
    losses.resume([loss(1)]);
    losses.addEarly(loss(2));
    for (const early of losses.takeEarly()) losses.add(early);
    expect(losses.onHeard()).toBe(false);
    expect(losses.untold).toEqual([loss(1), loss(2)]);
  });

  it('stay untold by a packet that nobody acknowledges', () => {
    const losses = new Losses();
    losses.resume([]);
    losses.add(loss(1));
    losses.tellBy(0, ROOM);
    expect(losses.onHeard()).toBe(false);
    expect(losses.untold).toEqual([loss(1)]);
  });

  it('say of more than one packet tells that any channel may have lost messages', () => {
    const losses = new Losses();
    for (let index = 0; index < 20; index += 1) losses.addEarly(loss(index));
    const told = losses.resume([]);
    expect(told).toHaveLength(LOSSES_MAX);
    expect(told.at(-1)).toEqual(MORE_LOSSES);
    for (let index = 0; index < 20; index += 1) losses.add(loss(index));
    expect(losses.untold).toEqual(told);
  });
});

describe('lossProperties', () => {
  it('says what is lost, one by one', () => {
    expect(lossProperties([])).toEqual({});
    expect(lossProperties([loss(7)])).toEqual({
      userProperties: [[GAP_PROPERTY, '{"channel":"a/7","reason":"trimmed","from":1,"to":7}']],
    });
  });

  it('says of many that there are more', () => {
    const told = (count: number) => {
      const losses = Array.from({ length: count }, (_, index) => loss(index));
      const { userProperties = [] } = lossProperties(losses);
      return userProperties.map(([, text]) => JSON.parse(text).channel as string);
    };
    expect(told(LOSSES_MAX)).toHaveLength(LOSSES_MAX);
    expect(told(LOSSES_MAX)).not.toContain(MORE_LOSSES.channel);
    expect(told(1_000)).toHaveLength(LOSSES_MAX);
    expect(told(1_000).at(-1)).toBe(MORE_LOSSES.channel);
  });
});
