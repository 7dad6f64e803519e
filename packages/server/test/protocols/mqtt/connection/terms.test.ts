import { connectPacket } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { MqttError } from '../../../../src/protocols/mqtt/codec/faults.ts';
import {
  grant,
  grantedProperties,
  inflightMax,
  keepAliveFor,
  silenceMs,
} from '../../../../src/protocols/mqtt/connection/terms.ts';
import { CONFIG } from '../mqtt-setup.ts';

describe('grant', () => {
  it('gives 3.1.1 what it can not ask for', () => {
    const granted = grant(connectPacket({ version: 4, clientId: 'c', clean: false }), CONFIG, 'x');
    expect(granted).toEqual({
      version: 4,
      clientId: 'c',
      expirySeconds: CONFIG.sessionExpirySecondsMax,
      receiveMaximum: 65_535,
      packetSizeMax: 268_435_460,
      topicAliasMaximum: 0,
      wantsProblems: false,
      positions: false,
      hasMethod: false,
    });
    const clean = connectPacket({ version: 4, clientId: 'c' });
    expect(grant(clean, CONFIG, 'x').expirySeconds).toBe(0);
  });

  it('gives 5.0 what it asks for, within limits', () => {
    const properties = {
      sessionExpiryInterval: 0xffffffff,
      receiveMaximum: 7,
      maximumPacketSize: 99,
      topicAliasMaximum: 50,
      requestProblemInformation: 0 as const,
      authenticationMethod: 'token',
      userProperties: [['trunkline.positions', '1']] as const,
    };
    expect(grant(connectPacket({ properties }), CONFIG, 'assigned')).toEqual({
      version: 5,
      clientId: 'assigned',
      expirySeconds: CONFIG.sessionExpirySecondsMax,
      receiveMaximum: 7,
      packetSizeMax: 99,
      topicAliasMaximum: CONFIG.topicAliasMax,
      wantsProblems: false,
      positions: true,
      hasMethod: true,
    });
    expect(grant(connectPacket(), CONFIG, 'x')).toMatchObject({
      expirySeconds: 0,
      wantsProblems: true,
      positions: false,
    });
  });

  it('[MQTT-3.1.3-5] refuses client identifiers that are too long, in bytes', () => {
    const { clientIdLengthMax: max } = CONFIG;
    const of = (clientId: string) => () => grant(connectPacket({ clientId }), CONFIG, 'x');
    expect(of('x'.repeat(max))().clientId).toHaveLength(max);
    expect(of('x'.repeat(max + 1))).toThrow(MqttError);
    expect(of('ü'.repeat(max / 2 + 1))).toThrow(MqttError);
  });

  it('gives positions to who asks in these words alone', () => {
    const positionsOf = (name: string, value: string) => {
      const properties = { userProperties: [[name, value]] as const };
      return grant(connectPacket({ properties }), CONFIG, 'x').positions;
    };
    expect(positionsOf('trunkline.positions', '1')).toBe(true);
    expect(positionsOf('trunkline.positions', '0')).toBe(false);
    expect(positionsOf('positions', '1')).toBe(false);
  });
});

describe('grantedProperties', () => {
  const told = (options: Parameters<typeof connectPacket>[0], config = CONFIG) => {
    const connect = connectPacket(options);
    return grantedProperties(connect, grant(connect, config, 'assigned'), config);
  };

  it('says what is not as the client asked', () => {
    expect(told({ clientId: 'c', expiry: 60 })).toEqual({
      receiveMaximum: CONFIG.receiveMaximum,
      maximumPacketSize: CONFIG.packetBytesMax,
      topicAliasMaximum: CONFIG.topicAliasMax,
    });
    expect(
      told({ expiry: 100_000, keepAlive: 60 }, { ...CONFIG, keepAliveSecondsMax: 30 }),
    ).toEqual({
      sessionExpiryInterval: CONFIG.sessionExpirySecondsMax,
      assignedClientIdentifier: 'assigned',
      serverKeepAlive: 30,
      receiveMaximum: CONFIG.receiveMaximum,
      maximumPacketSize: CONFIG.packetBytesMax,
      topicAliasMaximum: CONFIG.topicAliasMax,
    });
  });

  it('leaves out topic aliases where there are none', () => {
    expect(told({}, { ...CONFIG, topicAliasMax: 0 }).topicAliasMaximum).toBeUndefined();
  });
});

describe('Keep alive', () => {
  it('[MQTT4-3.1.2-24] [MQTT5-3.1.2-22] counts one and a half times', () => {
    expect(silenceMs(10)).toBe(15_000);
    expect(silenceMs(0)).toBe(0);
  });

  it.each([
    [5, 60, 0, 60],
    [5, 0, 0, 0],
    [5, 60, 30, 30],
    [5, 0, 30, 30],
    [5, 20, 30, 20],
    [4, 60, 30, 60],
    [4, 0, 30, 0],
  ] as const)(
    'of MQTT %s asking for %s with at most %s is %s',
    (version, keepAlive, max, expected) => {
      const config = { ...CONFIG, keepAliveSecondsMax: max };
      expect(keepAliveFor(connectPacket({ version, keepAlive }), config)).toBe(expected);
    },
  );
});

describe('inflightMax', () => {
  it('[DEV-44] is what the client and the server allow, and what a record has room for', () => {
    const of = (receiveMaximum: number, expirySeconds: number, max: number) =>
      inflightMax({ receiveMaximum, expirySeconds }, { inflightMax: max });
    expect(of(5, 0, 10)).toBe(5);
    expect(of(50, 60, 10)).toBe(10);
    expect(of(65_535, 0, 65_535)).toBe(65_535);
    expect(of(65_535, 60, 65_535)).toBe(1_000);
  });
});
