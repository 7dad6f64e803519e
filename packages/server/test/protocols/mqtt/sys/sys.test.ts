import { ManualClock } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { MqttCounts } from '../../../../src/protocols/mqtt/counts.ts';
import { isSysFilter, Sys } from '../../../../src/protocols/mqtt/sys/sys.ts';
import type { SysValues } from '../../../../src/protocols/mqtt/sys/sys.ts';

function setUp(intervalMs = 10_000) {
  const clock = new ManualClock();
  const counts = new MqttCounts();
  let asked = 0;
  const numbers = { connected: 1, subscriptions: 2 };
  const sys = new Sys({
    ...{ clock, counts, intervalMs },
    numbers: () => {
      asked += 1;
      return numbers;
    },
  });
  const told: SysValues[] = [];
  const reader = { onChange: (values: SysValues) => void told.push(values) };
  return { clock, counts, sys, numbers, told, reader, asked: () => asked };
}

describe('Sys', () => {
  it('tells of the server in the usual names', () => {
    const { clock, counts, sys } = setUp();
    counts.received.publish = 3;
    counts.received.pingreq = 1;
    clock.advance(90_500);
    const values = sys.values();
    expect(values.get('$SYS/broker/version')).toMatch(/^trunkline \d/);
    expect(Object.fromEntries(values)).toMatchObject({
      '$SYS/broker/uptime': '90 seconds',
      '$SYS/broker/clients/connected': '1',
      '$SYS/broker/messages/received': '4',
      '$SYS/broker/publish/messages/received': '3',
      '$SYS/broker/publish/messages/dropped': '0',
      '$SYS/broker/bytes/sent': '0',
      '$SYS/broker/subscriptions/count': '2',
    });
  });

  it('counts its sessions once a second, however many ask', () => {
    const { clock, sys, asked, numbers } = setUp();
    for (let count = 0; count < 100; count += 1) sys.values();
    expect(asked()).toBe(1);
    numbers.connected = 9;
    clock.advance(1_000);
    expect(sys.values().get('$SYS/broker/clients/connected')).toBe('9');
    expect(asked()).toBe(2);
  });

  it('tells its readers what changed, as often as it is to', () => {
    const { clock, numbers, sys, told, reader } = setUp();
    sys.watch(reader);
    clock.advance(9_999);
    expect(told).toEqual([]);
    numbers.connected = 5;
    clock.advance(1);
    expect(told.map((values) => Object.fromEntries(values))).toEqual([
      {
        '$SYS/broker/uptime': '10 seconds',
        '$SYS/broker/clients/connected': '5',
        '$SYS/broker/clients/active': '5',
      },
    ]);
    clock.advance(10_000);
    expect([...(told[1]?.keys() ?? [])]).toEqual(['$SYS/broker/uptime']);
  });

  it('works only while somebody reads', () => {
    const { clock, sys, told, reader, asked } = setUp();
    clock.advance(100_000);
    expect(asked()).toBe(0);
    sys.watch(reader);
    const second = { onChange: () => {} };
    sys.watch(second);
    expect(asked()).toBe(1);
    sys.unwatch(reader);
    clock.advance(10_000);
    expect(asked()).toBe(2);
    sys.unwatch(second);
    sys.unwatch(second);
    clock.advance(100_000);
    expect(asked()).toBe(2);
    expect(told).toEqual([]);
  });

  it('tells nothing where it is turned off', () => {
    const { clock, sys, told, reader } = setUp(0);
    sys.watch(reader);
    clock.advance(100_000);
    expect(told).toEqual([]);
    expect(sys.values().size).toBe(0);
  });

  it.each([
    ['$SYS/#', true],
    ['$SYS/broker/+', true],
    ['$SYS', false],
    ['#', false],
    ['$share/g/$SYS/#', false],
  ])('knows whether %s is one of its filters: %s', (filter, expected) => {
    expect(isSysFilter(filter)).toBe(expected);
  });
});
