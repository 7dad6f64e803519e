import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type {
  Publish,
  Qos,
  Version,
} from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { NO_PROPERTIES } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import {
  copyRun,
  joinFrames,
  ownHead,
  patchPacketId,
  publishFrame,
  publishProperties,
} from '@trunkline/server/internal/protocols/mqtt/codec/publish-frame.ts';
import { describe, expect, test } from 'vitest';

const TOPIC = 'sensors/é/1';
const PAYLOAD = Buffer.from('{"t":21.5}');
const PROPERTIES = { contentType: 'application/json', userProperties: [['k', 'v']] } as const;

function frameOf(version: Version, qos: Qos, payload: Uint8Array = PAYLOAD) {
  const properties = publishProperties(PROPERTIES);
  return publishFrame({ version, topic: TOPIC, payload, qos, retain: true, properties });
}

function packetOf(version: Version, qos: Qos, packetId: number, more: object = {}): Publish {
  return {
    ...{ kind: 'publish', topic: TOPIC, payload: PAYLOAD, qos, retain: true, dup: false, packetId },
    properties: version === 5 ? PROPERTIES : NO_PROPERTIES,
    ...more,
  };
}

function hex(...bytes: readonly Uint8Array[]): string {
  return Buffer.concat(bytes).toString('hex');
}

describe('PublishFrame', () => {
  for (const version of [4, 5] as const) {
    test(`has the bytes that encode makes, in version ${version}`, () => {
      expect(hex(frameOf(version, 0).bytes)).toBe(hex(encode(packetOf(version, 0, 0), version)));
      expect(frameOf(version, 0).idAt).toBe(-1);
      for (const qos of [1, 2] as const) {
        const frame = frameOf(version, qos);
        const copy = Uint8Array.from(frame.bytes);
        patchPacketId(copy, frame.idAt, 0xabcd);
        expect(hex(copy)).toBe(hex(encode(packetOf(version, qos, 0xabcd), version)));
        expect(hex(frame.bytes.subarray(frame.idAt, frame.idAt + 2))).toBe('0000');
      }
    });

    test(`takes a head for one receiver before its shared tail, in version ${version}`, () => {
      const frame = frameOf(version, 1);
      const head = ownHead(frame, { dup: true, packetId: 300 });
      const whole = hex(head, frame.bytes.subarray(frame.tailAt));
      expect(whole).toBe(hex(encode(packetOf(version, 1, 300, { dup: true }), version)));
    });
  }

  test('takes own properties, and sizes that grow with them', () => {
    const payload = Buffer.alloc(85, 'x');
    const frame = frameOf(5, 1, payload);
    const subscriptionIdentifiers = Array.from({ length: 30 }, (_, index) => index + 1000);
    const own = { topicAlias: 3, subscriptionIdentifiers };
    const head = ownHead(frame, {
      packetId: 9,
      properties: publishProperties(own),
      aliased: true,
    });
    const decoder = new PacketDecoder({ packetSizeMax: 1000, from: 'server', version: 5 });
    const [packet] = [
      ...decoder.push(Buffer.concat([head, frame.bytes.subarray(frame.tailAt)])),
    ] as Publish[];
    expect(packet).toMatchObject({ topic: '', qos: 1, retain: true, dup: false, packetId: 9 });
    expect(packet?.properties).toEqual({ ...own, ...PROPERTIES });
    expect(hex(packet?.payload ?? PAYLOAD)).toBe(hex(payload));
    expect(() => ownHead(frameOf(4, 0), { packetId: 0, aliased: true })).toThrow(RangeError);
    expect(() => ownHead(frameOf(5, 0), { packetId: 1 })).toThrow('does not go with');
    expect(() => ownHead(frameOf(5, 1), { packetId: 0 })).toThrow('does not go with');
  });

  test('is copied in runs, with the packet identifiers of each receiver', () => {
    const run = joinFrames([frameOf(5, 1), frameOf(5, 0), frameOf(5, 2)]);
    const slab = Buffer.alloc(run.bytes.length * 2 + 1);
    const end = copyRun(run, slab, copyRun(run, slab, 1, [1, 2]), [65_535, 7]);
    expect(end).toBe(slab.length);
    const expected = [
      ...[packetOf(5, 1, 1), packetOf(5, 0, 0), packetOf(5, 2, 2)],
      ...[packetOf(5, 1, 65_535), packetOf(5, 0, 0), packetOf(5, 2, 7)],
    ].map((packet) => encode(packet, 5));
    expect(hex(slab.subarray(1))).toBe(hex(...expected));
    expect(hex(run.bytes)).toBe(hex(frameOf(5, 1).bytes, frameOf(5, 0).bytes, frameOf(5, 2).bytes));
  });

  test('is its own run when it is alone', () => {
    const frame = frameOf(4, 1);
    expect(joinFrames([frame])).toEqual({ bytes: frame.bytes, idsAt: [frame.idAt] });
    expect(joinFrames([frameOf(4, 0)]).idsAt).toEqual([]);
    expect(joinFrames([])).toMatchObject({ idsAt: [] });
  });

  test('takes as many packet identifiers as it has places, none of them 0', () => {
    const run = joinFrames([frameOf(4, 1)]);
    const slab = new Uint8Array(run.bytes.length);
    for (const ids of [[], [1, 2], [0], [65_536], [1.5]]) {
      expect(() => copyRun(run, slab, 0, ids)).toThrow(RangeError);
    }
    expect(() => copyRun(run, slab, 1, [1])).toThrow(RangeError);
  });
});
