import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { resolveAccess } from '../src/config/access.ts';
import { serverConfigSchema } from '../src/config/schema.ts';
import type { ServerConfigInput } from '../src/config/schema.ts';
import {
  authOptions,
  capacityLimits,
  deflateConfig,
  http2Limits,
  mqttConfig,
  nativeConfig,
  tcpConfig,
} from '../src/part-configs.ts';

const configOf = (input: ServerConfigInput = {}) => serverConfigSchema.parse(input);

describe('what each part is told', () => {
  test('is the same secret for all nodes where one is given, else one of its own', () => {
    const options = (config: ReturnType<typeof configOf>, seed: number) =>
      authOptions(config, resolveAccess(config), seededRandom(seed));
    expect(options(configOf({ secret: 'shared' }), 1).secret).toBe('shared');
    expect(options(configOf(), 1).secret).not.toBe(options(configOf(), 2).secret);
    expect(options(configOf(), 1)).not.toHaveProperty('jwtSecret');
    expect(options(configOf({ auth: { jwtSecret: 'j' } }), 1)).toMatchObject({
      jwtSecret: 'j',
      development: false,
    });
  });

  test('is no rate of commands in development mode', () => {
    const told = (config: ReturnType<typeof configOf>) =>
      nativeConfig(config, resolveAccess(config), 'n1').commandsPerSecondMax;
    expect(told(configOf())).toBe(0);
    expect(told(configOf({ auth: { jwtSecret: 'j' } }))).toBe(100);
  });

  test('is how to compress only where something is compressed', () => {
    const counts = { inBytes: 0, outBytes: 0 };
    expect(deflateConfig(configOf(), counts)).toEqual({});
    const config = configOf({ compression: { webSocket: 'context', contextBytesMax: 5000 } });
    expect(deflateConfig(config, counts)).toMatchObject({
      compression: { context: true, contextBits: 12, counts },
    });
  });

  test('is the limits of MQTT, and those it shares with other sessions', () => {
    const config = configOf({
      mqtt: { inflightMax: 7, connectMs: 3000 },
      link: { subscriptionsMax: 5, pendingBytesMax: 2048 },
    });
    const told = mqttConfig(config, { development: false });
    expect(told).toMatchObject({ inflightMax: 7, subscriptionsMax: 5, highWaterSize: 2048 });
    expect(told.commandsPerSecondMax).toBe(100);
    expect(told.sessionsPerUserMax).toBe(1000);
    const development = mqttConfig(config, { development: true });
    expect(development).toMatchObject({ commandsPerSecondMax: 0, sessionsPerUserMax: 0 });
    expect(told).not.toHaveProperty('port');
    expect(tcpConfig(config).handshakeMs).toBe(3000);
  });

  test('is no limit of an address where none is set', () => {
    expect(capacityLimits(configOf()).connectionsPerAddressMax).toBe(Number.POSITIVE_INFINITY);
    const config = configOf({ connectionsMax: 9, connectionsPerAddressMax: 2 });
    expect(capacityLimits(config)).toEqual({ connectionsMax: 9, connectionsPerAddressMax: 2 });
    expect(http2Limits(config)).toEqual({ streamsMax: 9, streamsPerAddressMax: 256 });
  });
});
