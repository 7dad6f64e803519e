import { seededRandom } from '@trunkline/testkit';
import type { Message } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import type { Run } from '../../../../src/hub/hub-types.ts';
import { encodeAttributes } from '../../../../src/protocols/mqtt/messages/attributes.ts';
import { PacketDecoder } from '../../../../src/protocols/mqtt/codec/decoder.ts';
import type { Publish, Version } from '../../../../src/protocols/mqtt/codec/packets.ts';
import {
  Encodings,
  POSITION_PROPERTY,
  PublishEncoding,
  toPublication,
} from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { PublishBatch } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import type { FilterOptions, Form } from '../../../../src/protocols/mqtt/messages/form.ts';
import { CLOCK, formOf, message } from '../delivery/delivery-setup.ts';

function read({ payload }: PublishBatch, version: Version = 5): Publish[] {
  const decoder = new PacketDecoder({ from: 'server', version, packetSizeMax: 1_000_000 });
  const bytes = Uint8Array.from(payload);
  const view = new DataView(bytes.buffer);
  // Packet identifiers are 0 there, which no server may send.
  for (const at of encodingIds.get(payload) ?? []) view.setUint16(at, 1);
  return [...decoder.push(bytes)].filter((packet) => packet.kind === 'publish');
}

const encodingIds = new WeakMap<Uint8Array, readonly number[]>();

function encode(form: Form, runs: readonly Run[], mark?: string): PublishBatch {
  const batch = new PublishEncoding(form, CLOCK).encode(runs, mark);
  encodingIds.set(batch.payload, batch.run.idsAt);
  return batch;
}

const run = (messages: readonly Message[], more: Partial<Run> = {}): Run => ({
  ...{ channel: 'a/b', epoch: 'e1', messages },
  ...more,
});

const told = { nowMs: CLOCK.unixMs() };

describe('PublishEncoding', () => {
  it.each([4, 5] as const)('writes the packets of a turn one after the other in %s', (version) => {
    const runs = [
      run([message(1, 'one'), message(2, 'two')]),
      run([message(7, 'three')], { channel: 'c' }),
    ];
    const batch = encode(formOf(version, 1), runs);
    const packets = read(batch, version);
    expect(
      packets.map(({ topic, qos, payload }) => [topic, qos, Buffer.from(payload).toString()]),
    ).toEqual([
      ['a/b', 1, 'one'],
      ['a/b', 1, 'two'],
      ['c', 1, 'three'],
    ]);
    expect(batch.idCount).toBe(3);
    expect(batch.publications.map(({ place }) => place)).toEqual([
      { channel: 'a/b', epoch: 'e1', offset: 1 },
      { channel: 'a/b', epoch: 'e1', offset: 2 },
      { channel: 'c', epoch: 'e1', offset: 7 },
    ]);
    expect(batch.sizeMax).toBe(
      Math.max(...batch.publications.map(({ frame }) => frame.bytes.length)),
    );
  });

  it('gives each message the lower QoS of its publisher and its reader [MQTT-3.8.4-8]', () => {
    for (const published of [0, 1, 2] as const) {
      for (const granted of [0, 1, 2] as const) {
        const batch = encode(formOf(5, granted), [run([message(1, 'x', published)])]);
        expect(read(batch)[0]?.qos).toBe(Math.min(published, granted));
        expect(batch.idCount).toBe(Math.min(published, granted) === 0 ? 0 : 1);
      }
    }
    const foreign: Message = { offset: 1, time: 1, payload: Buffer.from('{}') };
    expect(read(encode(formOf(5, 2), [run([foreign])]))[0]?.qos).toBe(2);
  });

  it('tells a volatile channel with QoS 0: it can not be sent again, and has no place', () => {
    const batch = encode(formOf(5, 2), [run([message(0, 'x')], { epoch: '' })]);
    expect(read(batch)[0]?.qos).toBe(0);
    expect(batch.end).toEqual({ mark: undefined, places: [] });
  });

  it('ends at the last message of each run, or at the offsets that have expired', () => {
    const expired = { from: 3, to: 5 };
    const batch = encode(
      formOf(5, 1),
      [
        run([message(1, 'x'), message(2, 'y')]),
        run([message(6, 'z')], { expired }),
        run([], { channel: 'over', expired }),
      ],
      '~m.1',
    );
    expect(batch.end).toEqual({
      mark: '~m.1',
      places: [
        { channel: 'a/b', epoch: 'e1', offset: 2 },
        { channel: 'a/b', epoch: 'e1', offset: 6 },
        { channel: 'over', epoch: 'e1', offset: 5 },
      ],
    });
  });

  it('leaves out what its session published, and does not stand before it', () => {
    const own = { ...message(2, 'own'), from: { session: 's1' } };
    const form = { ...formOf(5, 1), mutedSession: 's1' };
    const batch = encode(form, [run([message(1, 'x'), own])]);
    expect(read(batch)).toHaveLength(1);
    expect(batch.end.places).toEqual([{ channel: 'a/b', epoch: 'e1', offset: 2 }]);
  });

  it('says RETAIN as published only where that was asked for [MQTT5-3.3.1-12] [MQTT-3.3.1-13]', () => {
    const attributes = encodeAttributes({ qos: 0, retain: true, properties: {} });
    const retained = { ...message(1, 'x'), attributes };
    expect(read(encode(formOf(5, 1), [run([retained])]))[0]?.retain).toBe(false);
    const form = { ...formOf(5, 1), retainAsPublished: true };
    expect(read(encode(form, [run([retained])]))[0]?.retain).toBe(true);
    expect(read(encode(form, [run([message(1, 'x')])]))[0]?.retain).toBe(false);
    const { frame } = toPublication(run([]), message(1, 'x'), formOf(5, 1), {
      ...told,
      isRetained: true,
    });
    expect(frame.shared.retain).toBe(true);
  });

  it('says what is left of the time of a message, never none [MQTT-3.3.2-6]', () => {
    const left = (ms: number) => {
      const one = { ...message(1, 'x'), expiresAt: CLOCK.unixMs() + ms };
      return read(encode(formOf(5, 0), [run([one])]))[0]?.properties.messageExpiryInterval;
    };
    expect([left(60_000), left(59_001), left(1), left(0)]).toEqual([60, 60, 1, 1]);
  });

  it('adds identifiers and positions behind what the publisher said [MQTT-3.3.2-18] [MQTT-3.3.4-3]', () => {
    const properties = { userProperties: [['k', 'v']] } as const;
    const attributes = encodeAttributes({ qos: 1, retain: false, properties });
    const form = { ...formOf(5, 1), ids: [3, 700], positions: true };
    const [packet] = read(encode(form, [run([{ ...message(9, 'x'), attributes }])]));
    expect(packet?.properties).toEqual({
      subscriptionIdentifiers: [3, 700],
      userProperties: [
        ['k', 'v'],
        [POSITION_PROPERTY, 'e1:9'],
      ],
    });
    const passing = read(encode(form, [run([{ ...message(0, 'x'), attributes }], { epoch: '' })]));
    expect(passing[0]?.properties.userProperties).toEqual([['k', 'v']]);
  });

  it('has no properties in 3.1.1', () => {
    const form = { ...formOf(4, 1), ids: [3], positions: true };
    const [packet] = read(encode(form, [run([{ ...message(1, 'x'), expiresAt: 2_000_000 }])]), 4);
    expect(packet?.properties).toEqual({});
  });

  it('may be empty, and still ends somewhere', () => {
    const batch = encode(formOf(5, 1), [run([], { expired: { from: 1, to: 4 } })], '~m.1');
    expect(batch.payload).toHaveLength(0);
    expect([batch.idCount, batch.sizeMax]).toEqual([0, 0]);
    expect(batch.end.mark).toBe('~m.1');
  });
});

describe('Encodings', () => {
  const options = (filter: string, more: Partial<FilterOptions> = {}): FilterOptions => ({
    ...{ filter, qos: 1, noLocal: false, retainAsPublished: false },
    ...more,
  });
  const formOfAll = (matching: readonly FilterOptions[]): Form => ({
    ...formOf(5, matching.some(({ qos }) => qos === 2) ? 2 : 1),
    ids: matching.flatMap(({ id }) => (id === undefined ? [] : [id])),
  });

  it('are one for all who are told the same, and others for the rest', () => {
    const encodings = new Encodings(CLOCK);
    const form = formOf(5, 1);
    expect(encodings.of(form)).toBe(encodings.of({ ...form }));
    const others: Form[] = [
      { ...form, version: 4 },
      { ...form, qos: 2 },
      { ...form, retainAsPublished: true },
      { ...form, positions: true },
      { ...form, ids: [1] },
      { ...form, ids: [11] },
      { ...form, ids: [1, 1] },
    ];
    const made = [form, ...others].map((one) => encodings.of(one));
    expect(new Set(made).size).toBe(made.length);
  });

  it('stay shared though others ask for ever new ones, and are bounded', () => {
    const encodings = new Encodings(CLOCK);
    const first = encodings.of({ ...formOf(5, 1), ids: [0] });
    const plain = encodings.of(formOf(5, 1));
    for (let id = 1; id <= 5_000; id += 1) {
      encodings.of({ ...formOf(5, 1), ids: [id] });
      if (id % 100 === 0) expect(encodings.of(formOf(5, 1))).toBe(plain);
    }
    expect(encodings.of({ ...formOf(5, 1), ids: [5_000] })).toBe(
      encodings.of({ ...formOf(5, 1), ids: [5_000] }),
    );
    expect(encodings.of({ ...formOf(5, 1), ids: [0] })).not.toBe(first);
  });

  it('tell a message once, as all that it matches ask for together [MQTT-3.3.5-1] [MQTT-3.3.4-4]', () => {
    const encodings = new Encodings(CLOCK);
    const all = [options('a/#', { id: 1 }), options('a/b', { id: 2, qos: 2 })];
    const encoding = encodings.overlapping(all, formOfAll);
    expect(encodings.overlapping([...all], formOfAll)).toBe(encoding);
    const batch = encoding.encode([
      run([message(1, 'x')]),
      run([message(1, 'y')], { channel: 'a/c' }),
    ]);
    const shared = batch.publications.map(({ frame }) => frame.shared.qos);
    expect(shared).toEqual([2, 1]);
    encodingIds.set(batch.payload, batch.run.idsAt);
    expect(read(batch).map(({ properties }) => properties.subscriptionIdentifiers)).toEqual([
      [1, 2],
      [1],
    ]);
  });

  it('are not shared by those that overlap in very many ways', () => {
    const random = seededRandom(1);
    const encodings = new Encodings(CLOCK);
    const all = Array.from({ length: 9 }, () => options(`${random.word(5)}/#`));
    expect(encodings.overlapping(all, formOfAll)).not.toBe(encodings.overlapping(all, formOfAll));
  });
});
