import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../src/observe/metric-definitions.ts';
import { MqttCounts } from '../../../src/protocols/mqtt/counts.ts';
import { startMqtt } from './mqtt-setup.ts';

describe('MqttCounts', () => {
  it('says all it knows by the names of metrics', () => {
    const counts = new MqttCounts();
    counts.received.publish += 2;
    counts.dropped.refused += 1;
    counts.onRefused(0x87);
    counts.onRefused(0x87);
    counts.onRefused(0xff);
    counts.onEnded(0x8e);
    const { readings } = counts;
    expect(readings).toMatchObject({
      mqttReceived: [['publish', 2]],
      mqttSent: [],
      mqttDropped: [
        ['refused', 1],
        ['too_large', 0],
      ],
      mqttConnectsRefused: [
        ['not_authorized', 2],
        ['other', 1],
      ],
      mqttEnded: [['session_taken_over', 1]],
    });
    for (const key of Object.keys(readings)) expect(METRICS).toHaveProperty(key);
  });

  it('keeps the most sessions there were', () => {
    const counts = new MqttCounts();
    for (const count of [1, 3, 2]) counts.onSessions(count);
    expect(counts.sessionsMax).toBe(3);
  });

  it('is told of every packet and byte', async () => {
    const { peer, protocol } = await startMqtt();
    const reader = peer({ autoAck: true });
    await reader.connect({ clientId: 'r', clean: false, expiry: 10 });
    await reader.subscribe([
      { filter: 'a', qos: 0 },
      { filter: 'b', qos: 2 },
    ]);
    const writer = peer();
    await writer.connect({ clientId: 'w' });
    for (const qos of [0, 1, 2] as const) {
      await writer.publishThrough('a', 'x', qos);
      await writer.publishThrough('b', 'x', qos);
    }
    await writer.publish('$no', 'x', { qos: 1 });
    await writer.publish('$no', 'x', { qos: 0 });
    await peer().connect({ clientId: 'x', userName: 'x', password: 'nobody' });
    const { readings } = protocol;
    expect(readings).toMatchObject({
      mqttSessions: 2,
      mqttStoredSessions: 1,
      mqttWillsWaiting: 0,
      mqttConnectsRefused: [['bad_user_name_or_password', 1]],
      mqttDropped: [
        ['refused', 2],
        ['too_large', 0],
      ],
    });
    const count = (kinds: unknown, kind: string) =>
      Object.fromEntries(kinds as [string, number][])[kind] ?? 0;
    const cameTo = (kind: string) =>
      [...reader.received, ...writer.received].filter((packet) => packet.kind === kind).length;
    for (const kind of ['publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'suback']) {
      expect(`${kind} ${count(readings.mqttSent, kind)}`).toBe(`${kind} ${cameTo(kind)}`);
    }
    expect(count(readings.mqttReceived, 'publish')).toBe(8);
    expect(count(readings.mqttReceived, 'pubrec')).toBe(1);
    expect(readings.mqttReceivedBytes).toBeGreaterThan(100);
    expect(readings.mqttSentBytes).toBeGreaterThan(100);
  });
});
