import { describe, expect, it } from 'vitest';
import { AliasTable, ClientAliases } from '../../../../src/protocols/mqtt/codec/aliases.ts';
import { MqttError } from '../../../../src/protocols/mqtt/codec/faults.ts';
import type { Publish } from '../../../../src/protocols/mqtt/codec/packets.ts';
import {
  publishFrame,
  publishProperties,
} from '../../../../src/protocols/mqtt/codec/publish-frame.ts';
import { REASONS } from '../../../../src/protocols/mqtt/codec/reasons.ts';

const frame = (topic: string, size = 10) =>
  publishFrame({ version: 5, topic, payload: Buffer.alloc(size), qos: 0, retain: false });

const publish = (topic: string, topicAlias?: number): Publish => ({
  ...{ kind: 'publish', topic, payload: Buffer.alloc(0), qos: 0, retain: false, dup: false },
  packetId: 0,
  properties: topicAlias === undefined ? {} : { topicAlias },
});

describe('AliasTable', () => {
  it('says a topic with its number once, and then the number alone [MQTT-3.3.2-12]', () => {
    const table = new AliasTable(2);
    const properties = publishProperties({ topicAlias: 1 });
    expect(table.use(frame('long/topic'), 1_000)).toEqual({ properties });
    expect(table.use(frame('long/topic'), 1_000)).toEqual({ properties, aliased: true });
    expect(table.use(frame('other/topic'), 1_000)).toEqual({
      properties: publishProperties({ topicAlias: 2 }),
    });
  });

  it('gives no more numbers than the client takes [MQTT-3.1.2-26] [MQTT-3.1.2-27]', () => {
    const table = new AliasTable(1);
    table.use(frame('first/one'), 1_000);
    expect(table.use(frame('second/one'), 1_000)).toEqual({});
    expect(table.use(frame('second/one'), 1_000)).toEqual({});
    expect(table.use(frame('first/one'), 1_000).aliased).toBe(true);
    expect(new AliasTable(0).use(frame('first/one'), 1_000)).toEqual({});
  });

  it('gives none to a topic that is as short', () => {
    const table = new AliasTable(1);
    expect(table.use(frame('abc'), 1_000)).toEqual({});
    expect(table.use(frame('abcd'), 1_000)).not.toEqual({});
  });

  it('makes no packet larger than the client takes [MQTT5-3.1.2-24]', () => {
    const table = new AliasTable(1);
    const large = frame('long/topic', 100);
    expect(table.use(large, large.bytes.length)).toEqual({});
    expect(table.use(large, large.bytes.length + 4)).toEqual({});
    expect(table.use(large, large.bytes.length + 5)).not.toEqual({});
  });
});

describe('ClientAliases', () => {
  it('remembers a number until it stands for another topic', () => {
    const aliases = new ClientAliases(2);
    expect(aliases.topicOf(publish('a'))).toBe('a');
    expect(aliases.topicOf(publish('a', 1))).toBe('a');
    expect(aliases.topicOf(publish('b', 2))).toBe('b');
    expect(aliases.topicOf(publish('', 1))).toBe('a');
    expect(aliases.topicOf(publish('c', 1))).toBe('c');
    expect(aliases.topicOf(publish('', 1))).toBe('c');
    expect(aliases.topicOf(publish('', 2))).toBe('b');
  });

  it('refuses a number above those that were offered [MQTT-3.3.2-9]', () => {
    const use = () => new ClientAliases(2).topicOf(publish('a', 3));
    expect(use).toThrow(MqttError);
    expect(use).toThrow(expect.objectContaining({ reason: REASONS.topicAliasInvalid }));
    const none = () => new ClientAliases(0).topicOf(publish('a', 1));
    expect(none).toThrow(expect.objectContaining({ reason: REASONS.topicAliasInvalid }));
  });

  it('refuses a number that stands for nothing', () => {
    const use = () => new ClientAliases(2).topicOf(publish('', 1));
    expect(use).toThrow(expect.objectContaining({ reason: REASONS.protocolError }));
  });

  it('keeps no topic that can be no channel', () => {
    const aliases = new ClientAliases(2);
    const long = 'x'.repeat(60_000);
    expect(aliases.topicOf(publish(long, 1))).toBe(long);
    // It is no channel either, and is refused as the first one was.
    expect(aliases.topicOf(publish('', 1))).toBe('');
  });
});
