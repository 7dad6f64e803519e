import { ackPacket, ManualClock, publishPacket, subscribePacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import type { Packet } from '../../../../src/protocols/mqtt/codec/packets.ts';
import { Pace, paceFor } from '../../../../src/protocols/mqtt/connection/pace.ts';
import { Wheel } from '../../../../src/wheel.ts';
import { CONFIG } from '../mqtt-setup.ts';

const PING: Packet = { kind: 'pingreq' };
const KNOWN = { awaits: () => true };
const UNKNOWN = { awaits: () => false };

function setUp(perSecond = 10) {
  const clock = new ManualClock();
  const wheel = new Wheel(clock, 10);
  let readyCount = 0;
  const config = { commandsPerSecondMax: perSecond };
  const pace = new Pace({ clock, wheel, config }, { proceed: () => void (readyCount += 1) });
  /** How many pings it admits now. */
  const admitted = (): number => {
    let count = 0;
    while (pace.admits(PING)) count += 1;
    return count;
  };
  return { clock, wheel, pace, admitted, readyCount: () => readyCount };
}

describe('Pace', () => {
  it('admits two seconds’ worth at once, and then as much as its rate', () => {
    const { clock, pace, admitted, readyCount } = setUp();
    expect(admitted()).toBe(20);
    expect(pace.isShort).toBe(true);
    clock.advance(99);
    expect(readyCount()).toBe(0);
    clock.advance(21);
    expect(readyCount()).toBe(1);
    expect(pace.isShort).toBe(false);
    expect(admitted()).toBe(1);
    // In the long run no more than that, however the alarms fall.
    let total = 21;
    for (let step = 0; step < 1_000; step += 1) {
      clock.advance(37);
      if (!pace.isShort) total += admitted();
    }
    expect(total).toBeGreaterThan(370);
    expect(total).toBeLessThanOrEqual(20 + 10 * 37.2);
  });

  it('sets one alarm, however often it is asked', () => {
    const { wheel, pace, admitted, clock, readyCount } = setUp();
    admitted();
    for (let count = 0; count < 100; count += 1) expect(pace.admits(PING)).toBe(false);
    expect(wheel.armedCount).toBe(1);
    pace.end();
    expect(wheel.armedCount).toBe(0);
    clock.advance(10_000);
    expect(readyCount()).toBe(0);
  });

  it('admits answers and goodbyes at any time', () => {
    const { pace, admitted } = setUp();
    admitted();
    expect(pace.admits(ackPacket('puback', 1))).toBe(true);
    expect(pace.admits(ackPacket('pubrel', 1))).toBe(true);
    expect(pace.admits({ kind: 'disconnect', reason: 0, properties: {} })).toBe(true);
    expect(pace.admits(publishPacket('a', 'x', {}))).toBe(false);
  });

  it('charges an answer that answers nothing', () => {
    const { pace, admitted } = setUp();
    for (let count = 0; count < 100; count += 1) pace.charge(ackPacket('puback', 1), KNOWN);
    expect(pace.isShort).toBe(false);
    for (let count = 0; count < 5; count += 1) pace.charge(ackPacket('pubrel', 1), UNKNOWN);
    expect(admitted()).toBe(15);
  });

  it('charges each filter, as far as there are tokens', () => {
    const { pace, admitted } = setUp();
    const filters = ['a', 'b', 'c'].map((filter) => ({ filter }));
    const subscribe = subscribePacket(1, filters);
    expect(pace.admits(subscribe)).toBe(true);
    pace.charge(subscribe, KNOWN);
    expect(admitted()).toBe(17);
    pace.charge({ kind: 'unsubscribe', packetId: 1, filters: ['a', 'b'], properties: {} }, KNOWN);
    expect(pace.isShort).toBe(true);
  });

  it('is none where no rate is set, and of an application', () => {
    const { clock, wheel } = setUp();
    const of = (kind: 'anonymous' | 'user' | 'server', commandsPerSecondMax: number) => {
      const config = { ...CONFIG, commandsPerSecondMax };
      return paceFor({ kind }, { clock, wheel, config }, { proceed: () => {} });
    };
    expect(of('user', 0)).toBeUndefined();
    expect(of('server', 5)).toBeUndefined();
    expect(of('anonymous', 5)).toBeInstanceOf(Pace);
  });
});
