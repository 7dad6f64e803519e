import { describe, expect, it } from 'vitest';
import { startMqtt } from './mqtt-setup.ts';

describe('MqttSession', () => {
  it.each([4, 5] as const)('delivers what is published in MQTT %s', async (version) => {
    const { peer } = await startMqtt();
    const reader = peer({ autoAck: true });
    const writer = peer();
    expect(await reader.connect({ version, clientId: 'r' })).toMatchObject({ reason: 0 });
    await writer.connect({ version, clientId: 'w' });
    const suback = await reader.subscribe([
      { filter: 'a/b', qos: 0 },
      { filter: 'c/+', qos: 1 },
      { filter: 'd/#', qos: 2 },
    ]);
    expect(suback.reasons).toEqual([0, 1, 2]);
    for (const qos of [0, 1, 2] as const) {
      await writer.publishThrough('a/b', `a${qos}`, qos);
      await writer.publishThrough('c/x', `c${qos}`, qos);
      await writer.publishThrough('d', `d${qos}`, qos);
    }
    const got = reader.received.filter((packet) => packet.kind === 'publish');
    expect(got.map(({ topic, qos, payload }) => `${topic} ${qos} ${Buffer.from(payload)}`)).toEqual(
      [
        'a/b 0 a0',
        'c/x 0 c0',
        'd 0 d0',
        'a/b 0 a1',
        'c/x 1 c1',
        'd 1 d1',
        'a/b 0 a2',
        'c/x 1 c2',
        'd 2 d2',
      ],
    );
  });

  it.each([4, 5] as const)('keeps a session of MQTT %s without a connection', async (version) => {
    const { peer } = await startMqtt();
    const options = {
      version,
      clientId: 'r',
      clean: false,
      ...(version === 5 ? { expiry: 60 } : {}),
    };
    const before = peer();
    expect(await before.connect(options)).toMatchObject({ sessionPresent: false });
    await before.subscribe([
      { filter: 'c/x', qos: 1 },
      { filter: 'd/+', qos: 2 },
    ]);
    const writer = peer();
    await writer.connect({ version, clientId: 'w' });
    await writer.publishThrough('c/x', 'c1', 1);
    await writer.publishThrough('d/y', 'd1', 2);
    expect(before.expectPayloads(2)).toEqual(['c1', 'd1']);
    await before.drop();
    await writer.publishThrough('c/x', 'c2', 1);
    await writer.publishThrough('d/z', 'd2', 2);
    const after = peer({ autoAck: true });
    expect(await after.connect(options)).toMatchObject({ sessionPresent: true });
    const got = after.received.filter((packet) => packet.kind === 'publish');
    expect(got.map(({ topic, dup, payload }) => `${topic} ${dup} ${Buffer.from(payload)}`)).toEqual(
      ['c/x true c1', 'd/y true d1', 'c/x false c2', 'd/z false d2'],
    );
  });
});
