import { describe, expect, it } from 'vitest';
import { parsePlaceMark } from '../../../../src/hub/place-mark.ts';
import { AliasTable } from '../../../../src/protocols/mqtt/codec/aliases.ts';
import { PublishEncoding } from '../../../../src/protocols/mqtt/messages/encoding.ts';
import { Outlet } from '../../../../src/protocols/mqtt/delivery/outlet.ts';
import { SentPlace } from '../../../../src/protocols/mqtt/delivery/sent-place.ts';
import { GAP_PROPERTY } from '../../../../src/protocols/mqtt/session/losses.ts';
import { DeliveryModel } from './delivery-model.ts';
import { batchOf, CLOCK, formOf, makeDelivery, message, textOf } from './delivery-setup.ts';

const LARGE = 'x'.repeat(300);

describe('Delivery', () => {
  const seeds = Array.from({ length: 60 }, (_, index) => index + 1);

  it.each(seeds)(
    'loses nothing, repeats nothing, keeps order and limits [MQTT-3.3.4-9] [MQTT4-4.6.0-5] [MQTT4-4.6.0-6] [MQTT5-4.6.0-6] (seed %i)',
    async (seed) => {
      const world = new DeliveryModel(seed);
      const openAt = world.random.integer(40);
      for (let step = 0; step < 400; step += 1) {
        if (step === openAt) world.made.delivery.open();
        world.step();
        await Promise.resolve();
        await Promise.resolve();
        world.check();
      }
      await world.finish();
      const { received } = world;
      expect(new Set(received).size).toBe(received.length);
      for (const reader of world.readers) {
        const wanted = reader.log
          .filter(({ message: one }) => !world.isTooLarge(one))
          .map(({ channel, message: one }) => `${channel}:${one.offset}`);
        const got = received.filter((name) =>
          reader.channels.some((channel) => name.startsWith(`${channel}:`)),
        );
        expect(got).toEqual(wanted);
      }
    },
  );

  it('shares the bytes of QoS 0, and copies those with packet identifiers once', () => {
    const { delivery, link } = makeDelivery();
    delivery.open();
    const none = batchOf('a', [message(1, 'one'), message(2, 'two')], formOf(5, 0));
    new Outlet(delivery, 0).sendShared(none);
    expect(link.batches).toEqual([none]);
    const some = batchOf('a', [message(1, 'one'), message(2, 'two')], formOf(5, 1));
    new Outlet(delivery, 1).sendShared(some);
    expect(link.batches).toHaveLength(2);
    expect(link.batches[1]?.payload).toHaveLength(some.payload.length);
    expect(link.takePublishes().map(({ packetId }) => packetId)).toEqual([0, 0, 1, 2]);
  });

  it('wakes nobody who was granted QoS 0 before what it still has with more has left', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    outlet.sendShared(batchOf('a', [message(1, 'one'), message(2, 'two')], formOf(5, 1)));
    outlet.qos = 0;
    outlet.requestDrain();
    delivery.onRoom();
    expect(link.wantsDrain).toBe(false);
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
    expect(link.takePublishes().map(({ packetId }) => packetId)).toEqual([1, 2]);
  });

  it('divides a batch where the window ends, with a place up to there', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 2 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const all = [1, 2, 3, 4, 5].map((offset) => message(offset, `${offset}`));
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    expect(link.takePublishes().map(textOf)).toEqual(['1', '2']);
    expect(place.toString()).toBe('e1:2');
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    outlet.requestDrain();
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('e1:3');
    window.acknowledge(2, 'puback');
    window.acknowledge(3, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['3', '4', '5']);
    expect(place.toString()).toBe('e1:5');
    expect(link.wantsDrain).toBe(false);
    window.acknowledge(4, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
  });

  it('stands at the end of what expired at the end of a batch only when all before it has left', () => {
    const { delivery, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const runs = [
      { channel: 'a', epoch: 'e1', messages: [message(1, '1'), message(2, '2')] },
      { channel: 'a', epoch: 'e1', messages: [], expired: { from: 3, to: 6 } },
    ];
    outlet.sendShared(new PublishEncoding(formOf(5, 1), CLOCK).encode(runs));
    expect(place.toString()).toBe('e1:1');
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('e1:6');
  });

  it('takes a mark or a gap in after all that came before it', () => {
    const { delivery, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace('~m.0');
    outlet.place = place;
    outlet.sendShared(batchOf('a', [message(1, '1'), message(2, '2')], formOf(5, 1)));
    delivery.reach(outlet, { mark: undefined, places: [{ channel: 'b', epoch: 'e9', offset: 9 }] });
    const { behind } = parsePlaceMark(place.toString());
    expect(behind).toEqual(new Map([['a', { epoch: 'e1', offset: 1 }]]));
    delivery.reach(outlet, { mark: '~m.7', places: [] });
    expect(place.toString()).not.toBe('~m.7');
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(place.toString()).toBe('~m.7');
  });

  it('lets QoS 0 pass a full window, with aliases too, and never before itself', () => {
    const { delivery, link } = makeDelivery({ countMax: 1, aliases: new AliasTable(1) });
    const stuck = new Outlet(delivery, 1);
    const free = new Outlet(delivery, 0);
    // Both are given something before anything may leave.
    stuck.sendShared(batchOf('stuck', [message(1, 's1'), message(2, 's2')], formOf(5, 1)));
    free.sendShared(batchOf('free', [message(1, 'f1')], formOf(5, 0)));
    expect(free.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    free.requestDrain();
    delivery.onRoom();
    expect(link.wantsDrain).toBe(false);
    delivery.open();
    expect(link.takePublishes().map(textOf)).toEqual(['s1', 'f1']);
    // It asked to be told when it may go on; the others wait for room.
    expect(link.wantsDrain).toBe(true);
    expect(free.pendingBytes).toBe(0);
    expect(stuck.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    free.sendShared(batchOf('free', [message(2, 'f2')], formOf(5, 0)));
    free.sendShared(batchOf('free', [message(3, 'f3')], formOf(5, 0)));
    expect(link.takePublishes().map(textOf)).toEqual(['f2', 'f3']);
  });

  it('keeps the order of a subscription that becomes one of QoS 0', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const all = [message(1, '1'), message(2, '2'), message(3, '3')];
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    outlet.qos = 0;
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    outlet.sendShared(batchOf('a', [message(4, '4')], formOf(5, 0)));
    expect(link.takePublishes().map(textOf)).toEqual(['1']);
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['2']);
    window.acknowledge(2, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['3', '4']);
    expect(outlet.pendingBytes).toBe(0);
  });

  it('holds QoS 2 and all behind it until it is stored, in order [MQTT4-4.6.0-6] [MQTT5-4.6.0-5]', async () => {
    const stores = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let asked = 0;
    const { delivery, link } = makeDelivery({
      store: () => stores[(asked += 1) - 1]?.promise ?? Promise.resolve(),
    });
    delivery.open();
    const [two, none] = [new Outlet(delivery, 2), new Outlet(delivery, 0)];
    two.sendShared(batchOf('a', [message(1, 'a1')], formOf(5, 2)));
    none.sendShared(batchOf('b', [message(1, 'b1')], formOf(5, 0)));
    two.sendShared(batchOf('a', [message(2, 'a2')], formOf(5, 2)));
    expect(link.batches).toHaveLength(0);
    expect(two.pendingBytes).toBeGreaterThan(0);
    none.requestDrain();
    delivery.onRoom();
    expect(link.wantsDrain).toBe(false);
    stores[1]?.resolve();
    await stores[1]?.promise;
    expect(link.batches).toHaveLength(0);
    stores[0]?.resolve();
    await Promise.resolve();
    await Promise.resolve();
    expect(link.takePublishes().map(textOf)).toEqual(['a1', 'b1', 'a2']);
    expect(two.pendingBytes).toBe(0);
    expect(link.wantsDrain).toBe(true);
  });

  it('leaves to each session what waits or is held for it', () => {
    const store = (): Promise<void> => new Promise(() => {});
    const [full, holding, other] = [
      makeDelivery({ countMax: 1 }),
      makeDelivery({ store }),
      makeDelivery({ countMax: 1 }),
    ];
    for (const { delivery } of [full, holding, other]) delivery.open();
    const batch = batchOf('a', [message(1, '1'), message(2, '2')], formOf(5, 1));
    new Outlet(full.delivery, 1).sendShared(batch);
    new Outlet(holding.delivery, 2).sendShared(batchOf('a', [message(1, '1')], formOf(5, 2)));
    expect(full.link.takePublishes().map(textOf)).toEqual(['1']);
    expect(holding.delivery.heldCount).toBe(1);
    const outlet = new Outlet(other.delivery, 1);
    expect(outlet.pendingBytes).toBe(0);
    expect(other.delivery.heldCount).toBe(0);
    outlet.sendShared(batchOf('b', [message(1, 'own')], formOf(5, 1)));
    expect(other.link.takePublishes().map(textOf)).toEqual(['own']);
    other.window.acknowledge(1, 'puback');
    other.delivery.onRoom();
    expect(other.link.takePublishes()).toEqual([]);
  });

  it('never sends what can not be stored, whatever becomes of the link', async () => {
    const store = Promise.withResolvers<void>();
    const { delivery, link } = makeDelivery({ store: () => store.promise });
    delivery.open();
    new Outlet(delivery, 2).sendShared(batchOf('a', [message(1, 'a1')], formOf(5, 2)));
    link.close({ code: 'normal' });
    store.reject(new Error('the disk is full'));
    await Promise.resolve();
    await Promise.resolve();
    expect(link.batches).toHaveLength(0);
  });

  it('sends nothing again for a subscription that has ended, and what is behind it goes on', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    delivery.open();
    const [gone, other] = [new Outlet(delivery, 1), new Outlet(delivery, 1)];
    gone.sendShared(batchOf('a', [message(1, 'a1'), message(2, 'a2')], formOf(5, 1)));
    other.sendShared(batchOf('b', [message(1, 'b1', 0), message(2, 'b2', 1)], formOf(5, 1)));
    other.requestDrain();
    delivery.drop(gone);
    expect(link.takePublishes().map(textOf)).toEqual(['a1', 'b1']);
    window.acknowledge(1, 'puback');
    delivery.onRoom();
    expect(link.takePublishes().map(textOf)).toEqual(['b2']);
    window.acknowledge(2, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
  });

  it('leaves out what is too large for the client, as if it was sent [MQTT-3.1.2-25]', () => {
    const { delivery, link, window } = makeDelivery({ packetSizeMax: 60 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const place = new SentPlace({ epoch: 'e1', offset: 0 });
    outlet.place = place;
    const all = [message(1, '1'), message(2, 'x'.repeat(100)), message(3, '3'), message(4, LARGE)];
    outlet.sendShared(batchOf('a', all, formOf(5, 1)));
    expect(link.takePublishes().map(textOf)).toEqual(['1', '3']);
    expect(delivery.counts.dropped.too_large).toBe(2);
    expect(window.count).toBe(2);
    expect(place.toString()).toBe('e1:4');
  });

  it('tells losses by the next packet that has room for them [MQTT5-3.1.2-24]', () => {
    const { delivery, link, losses } = makeDelivery({ packetSizeMax: 160 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    losses.add({ channel: 'a', gap: { reason: 'trimmed', from: 1, to: 3 } });
    outlet.sendShared(batchOf('a', [message(4, 'x'.repeat(120)), message(5, '5')], formOf(5, 1)));
    const [large, small] = link.takePublishes();
    expect(large?.properties.userProperties).toBeUndefined();
    expect(small?.properties.userProperties).toEqual([
      [GAP_PROPERTY, '{"channel":"a","reason":"trimmed","from":1,"to":3}'],
    ]);
    expect(losses.isDue).toBe(false);
  });

  it('lets nothing new leave before what is put first has left', () => {
    const { delivery, link } = makeDelivery();
    let rooms = 0;
    const first = { onRoom: () => void (rooms += 1) };
    delivery.putFirst(first);
    delivery.open();
    const outlet = new Outlet(delivery, 0);
    outlet.sendShared(batchOf('a', [message(2, 'new')], formOf(5, 0)));
    outlet.requestDrain();
    delivery.onRoom();
    expect(rooms).toBe(2);
    expect(link.take()).toEqual([]);
    delivery.endFirst({ onRoom: () => {} });
    expect(outlet.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    delivery.endFirst(first);
    expect(link.takePublishes().map(textOf)).toEqual(['new']);
    expect(link.wantsDrain).toBe(true);
  });
});
