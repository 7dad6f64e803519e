import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode, packetSize } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import { MqttError } from '@trunkline/server/internal/protocols/mqtt/codec/faults.ts';
import { NO_PROPERTIES } from '@trunkline/server/internal/protocols/mqtt/codec/property-table.ts';
import type { Packet, Publish } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import { describe, expect, test } from 'vitest';
import { fuzzMqtt } from '../../../fuzz/mqtt.fuzz.ts';
import {
  bytesOf,
  bytewise,
  decodeAll,
  decoderFor,
  fromPlain,
  readVectors,
  toPlain,
} from './vectors.ts';

const CONNECT_4 = Buffer.from('100d00044d51545404020000000161', 'hex');

for (const version of [4, 5] as const) {
  const { packets, faults } = readVectors(version);

  describe(`the packets of version ${version}`, () => {
    for (const row of packets) {
      const title = `${row.clause}: ${row.name}`;
      const bytes = bytesOf(row);

      test(`${title}, parsed`, () => {
        const decoder = decoderFor(version, row);
        const { packets: read, fault } = decodeAll(decoder, [bytes]);
        expect(fault).toBeUndefined();
        expect(read.map(toPlain)).toEqual([row.packet]);
        expect(decoder.isIdle).toBe(true);
        if (row.opening === true) expect(decoder.version).toBe(version);
      });

      test(`${title}, parsed byte by byte and in two pieces`, () => {
        const { packets: read } = decodeAll(decoderFor(version, row), bytewise(bytes));
        expect(read.map(toPlain)).toEqual([row.packet]);
        for (let cut = 1; cut < bytes.length; cut += 1) {
          const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
          const again = decodeAll(decoderFor(version, row), chunks);
          expect(again.packets.map(toPlain)).toEqual([row.packet]);
        }
      });

      test(`${title}, mirrored`, () => {
        const [read] = decodeAll(decoderFor(version, row), [bytes]).packets;
        const written = encode(read as Packet, version);
        const again = decodeAll(decoderFor(version, row), [written]);
        expect(again.packets.map(toPlain)).toEqual([row.packet]);
      });
    }

    for (const row of packets.filter(({ readOnly }) => readOnly !== true)) {
      test(`${row.clause}: ${row.name}, generated`, () => {
        const packet = fromPlain(row.packet);
        const bytes = bytesOf(row);
        expect(encode(packet, version).toString('hex')).toBe(bytes.toString('hex'));
        expect(packetSize(packet, version)).toBe(bytes.length);
      });
    }
  });

  describe(`what version ${version} refuses`, () => {
    for (const row of faults) {
      test(`${row.clause}: ${row.name}`, () => {
        const bytes = bytesOf(row);
        for (const chunks of [[bytes], bytewise(bytes)]) {
          const decoder = decoderFor(version, row);
          const { packets: read, fault } = decodeAll(decoder, chunks);
          expect(read).toEqual([]);
          expect(fault).toMatchObject({ reason: Number(row.reason), clause: row.clause });
          if (row.answer !== undefined) expect(decoder.version).toBe(row.answer);
          // Nothing is read, or kept, any more.
          expect(decodeAll(decoder, [CONNECT_4])).toEqual({ packets: [] });
          expect(decoder.bufferedBytes).toBe(0);
        }
      });
    }
  });
}

function publishOf(payload: Uint8Array): Publish {
  return {
    ...{ kind: 'publish', topic: 'a/b', payload, qos: 1, retain: false, dup: false, packetId: 7 },
    properties: NO_PROPERTIES,
  };
}

describe('PacketDecoder', () => {
  test('learns the version from CONNECT and reads on in it', () => {
    const connect = { kind: 'connect', version: 5, clientId: '', cleanStart: true, keepAlive: 0 };
    const opening = encode({ ...connect, properties: {} } as Packet, 5);
    const ping = Buffer.from('c000', 'hex');
    const publish = encode(publishOf(Buffer.from('hi')), 5);
    const decoder = new PacketDecoder({ packetSizeMax: 100 });
    expect(decoder.version).toBeUndefined();
    const chunk = Buffer.concat([opening, ping, publish]);
    const kinds = [...decoder.push(chunk)].map(({ kind }) => kind);
    expect(kinds).toEqual(['connect', 'pingreq', 'publish']);
    expect(decoder.version).toBe(5);
  });

  test.each([
    ['GET / HTTP/1.1', 'the first packet must be a CONNECT, got puback; perhaps HTTP'],
    ['\u0016\u0003\u0001', 'the flags of connect must be 0, got 6; perhaps a TLS handshake'],
  ])('says what a stranger that begins with %j may speak', (text, message) => {
    const { fault } = decodeAll(new PacketDecoder({ packetSizeMax: 100 }), [Buffer.from(text)]);
    expect(fault?.message).toContain(message);
  });

  test('gives what came before a fault, then the fault', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100 });
    const seen: string[] = [];
    expect(() => {
      const chunk = Buffer.concat([CONNECT_4, Buffer.from('c000c001ff', 'hex')]);
      for (const { kind } of decoder.push(chunk)) seen.push(kind);
    }).toThrow(MqttError);
    expect(seen).toEqual(['connect', 'pingreq']);
  });

  test('does not copy the payload of a packet that lies in one chunk', () => {
    const chunk = encode(publishOf(Buffer.alloc(5000, 1)), 4);
    const decoder = new PacketDecoder({ packetSizeMax: 10_000, version: 4 });
    const [packet] = [...decoder.push(chunk)];
    if (packet?.kind !== 'publish') throw new Error('expected a PUBLISH');
    expect(packet.payload.buffer).toBe(chunk.buffer);
    chunk[chunk.length - 1] = 2;
    expect(packet.payload.at(-1)).toBe(2);
  });

  test('never writes to memory that it has handed out', () => {
    const one = encode(publishOf(Buffer.alloc(300, 1)), 4);
    const other = encode(publishOf(Buffer.alloc(300, 2)), 4);
    const decoder = new PacketDecoder({ packetSizeMax: 1000, version: 4 });
    const { packets } = decodeAll(decoder, bytewise(Buffer.concat([one, other])));
    const payloads = packets.map((packet) => (packet as Publish).payload);
    expect(payloads.map((payload) => new Set(payload))).toEqual([new Set([1]), new Set([2])]);
  });

  test('keeps no more than has come, whatever length was announced', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 1_000_000, version: 4 });
    // A PUBLISH of 900,000 bytes.
    expect([...decoder.push(Buffer.from('30a0f736', 'hex'))]).toEqual([]);
    expect(decoder.bufferedBytes).toBe(0);
    expect([...decoder.push(Buffer.alloc(300, 'x'))]).toEqual([]);
    expect(decoder.bufferedBytes).toBeLessThanOrEqual(600);
    expect(decoder.isIdle).toBe(false);
  });

  test('keeps no more than a packet may have', () => {
    const bytes = encode(publishOf(Buffer.alloc(100_000)), 4);
    const decoder = new PacketDecoder({ packetSizeMax: bytes.length, version: 4 });
    let keptMax = 0;
    let count = 0;
    for (let at = 0; at < bytes.length; at += 999) {
      count += [...decoder.push(bytes.subarray(at, at + 999))].length;
      keptMax = Math.max(keptMax, decoder.bufferedBytes);
    }
    expect(count).toBe(1);
    expect(keptMax).toBeLessThan(bytes.length);
    expect(decoder.bufferedBytes).toBe(0);
  });

  test('lets a packet of exactly the limit pass', () => {
    const bytes = encode(publishOf(Buffer.alloc(100)), 4);
    const fits = new PacketDecoder({ packetSizeMax: bytes.length, version: 4 });
    expect([...fits.push(bytes)]).toHaveLength(1);
    const tight = new PacketDecoder({ packetSizeMax: bytes.length - 1, version: 4 });
    expect(() => [...tight.push(bytes)]).toThrow('at most');
  });

  test('waits with what its reader has not asked for, and refuses a chunk meanwhile', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100, version: 4 });
    const packets = decoder.push(Buffer.from('c000c000', 'hex'));
    expect(packets.next().value).toEqual({ kind: 'pingreq' });
    expect(() => decoder.push(Buffer.from('c000', 'hex')).next()).toThrow('not all taken');
    expect(packets.next().value).toEqual({ kind: 'pingreq' });
    expect(packets.next().done).toBe(true);
    expect([...decoder.push(Buffer.from('c000', 'hex'))]).toHaveLength(1);
  });

  test('is over after a fault, and drops what was behind it', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100, version: 4 });
    const chunk = Buffer.from('c000c001ffc000', 'hex');
    expect(decoder.next(chunk)).toEqual({ kind: 'pingreq' });
    expect(() => decoder.next(chunk)).toThrow(MqttError);
    expect(decoder.next(chunk)).toBeUndefined();
    expect(decoder.next(Buffer.from('c000', 'hex'))).toBeUndefined();
    expect(decoder.bufferedBytes).toBe(0);
  });

  test('is over when its reader breaks off', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100, version: 4 });
    for (const { kind } of decoder.push(Buffer.from('c000c000', 'hex'))) {
      if (kind === 'pingreq') break;
    }
    expect([...decoder.push(Buffer.from('c000', 'hex'))]).toEqual([]);
  });

  test('takes a limit that a header fits in', () => {
    expect(() => new PacketDecoder({ packetSizeMax: 4 })).toThrow(RangeError);
    expect(() => new PacketDecoder({ packetSizeMax: NaN })).toThrow(RangeError);
  });

  test('says what was expected, what came and which clause', () => {
    const decoder = new PacketDecoder({ packetSizeMax: 100 });
    expect(() => [...decoder.push(Buffer.from('c000', 'hex'))]).toThrow(
      'the first packet must be a CONNECT, got pingreq [MQTT-3.1.0-1]',
    );
  });

  test('gives packets or an MqttError for any bytes in any cut', () => {
    fuzzMqtt(20_261, 1500);
  });
});
