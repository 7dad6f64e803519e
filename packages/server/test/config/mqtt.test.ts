import { resolveConfig } from '@trunkline/server/internal/config/load.ts';
import { mqtt } from '@trunkline/server/internal/config/mqtt.ts';
import { serverConfigSchema } from '@trunkline/server/internal/config/schema.ts';
import { describe, expect, test } from 'vitest';

describe('the ports of MQTT', () => {
  test('are the usual one without TLS, and none with it', () => {
    const { port, tlsPort } = serverConfigSchema.parse({}).mqtt;
    expect([port, tlsPort]).toEqual([1883, 0]);
  });

  test.each([
    ['auto', 'auto'],
    [' 0 ', 0],
    ['2883', 2883],
  ])('may be given as "%s"', (text, expected) => {
    const { config, sources } = resolveConfig({ flags: new Map([['mqtt.port', text]]) });
    expect(config.mqtt.port).toBe(expected);
    expect(sources.get('mqtt.port')).toBe('flag --mqtt-port');
    const env = { TRUNKLINE_MQTTS_PORT: text, TRUNKLINE_TLS_DEV: 'true' };
    const fromEnv = resolveConfig({ env });
    expect(fromEnv.config.mqtt.tlsPort).toBe(expected);
  });

  test.each(['any', '-1', '65536', '1.5', ''])('can not be "%s"', (text) => {
    const wrong = (): unknown => resolveConfig({ flags: new Map([['mqtt.port', text]]) });
    expect(wrong).toThrow('flag --mqtt-port: mqtt.port: must be a port from 1 to 65535');
  });
});

test('each port is one of its own, unless any free one will do', () => {
  const check = (value: object) => () =>
    resolveConfig({ file: { path: 'c.yaml', value: { tls: { dev: true }, ...value } } });
  expect(check({ port: 9000, mqtt: { port: 9000 } })).toThrow(
    'file c.yaml: mqtt.port: must not be that of HTTP',
  );
  for (const tlsPort of [9000, 1883]) {
    expect(check({ port: 9000, mqtt: { tlsPort } })).toThrow(
      'file c.yaml: mqtt.tlsPort: must be a port of its own',
    );
  }
  for (const port of [0, 'auto']) check({ port: 0, mqtt: { port, tlsPort: port } })();
});

test('a port with TLS needs a certificate', () => {
  const check = (tls: object): unknown =>
    resolveConfig({ file: { path: 'c.yaml', value: { mqtt: { tlsPort: 8883 }, tls } } });
  expect(() => check({})).toThrow('file c.yaml: mqtt.tlsPort: needs a certificate');
  expect(() => check({ dev: true })).not.toThrow();
  expect(() => check({ cert: 'a', key: 'b' })).not.toThrow();
});

test.each<[string, number, boolean]>([
  ['packetBytesMax', 268_435_460, true],
  ['packetBytesMax', 268_435_461, false],
  ['packetBytesMax', 10, false],
  ['sessionExpirySecondsMax', 0, true],
  ['sessionExpirySecondsMax', 4_294_967_296, false],
  ['inflightMax', 0, false],
  ['receiveMaximum', 65_536, false],
  ['topicAliasMax', 0, true],
  // MQTT 3.1.1 §3.1.3.1: every server takes identifiers of up to 23 bytes.
  ['clientIdLengthMax', 22, false],
])('what the protocol can say bounds %s: %i', (name, value, allowed) => {
  expect(mqtt.safeParse({ [name]: value }).success).toBe(allowed);
});
