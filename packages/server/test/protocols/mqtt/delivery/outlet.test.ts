import { describe, expect, it } from 'vitest';
import { SharedBatch } from '../../../../src/link/shared-batch.ts';
import { Outlet } from '../../../../src/protocols/mqtt/delivery/outlet.ts';
import { batchOf, formOf, makeDelivery, message, textOf } from './delivery-setup.ts';

describe('Outlet', () => {
  it('carries the messages of its subscription to the link of the session', () => {
    const { delivery, link } = makeDelivery();
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    outlet.sendShared(batchOf('a', [message(1, 'one')], formOf(5, 1)));
    expect(link.takePublishes().map(textOf)).toEqual(['one']);
    expect(outlet.info).toBe(link.info);
    expect(outlet.traits).toBe(link.traits);
    outlet.close({ code: 'slow' });
    expect(link.goodbye).toEqual({ code: 'slow' });
  });

  it('takes nothing but PUBLISH packets', () => {
    const { delivery } = makeDelivery();
    const outlet = new Outlet(delivery, 1);
    expect(() => outlet.sendShared(new SharedBatch(Buffer.from('{}'), true))).toThrow(TypeError);
  });

  it('is full before anything may leave, and while the window is', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 1 });
    const [one, none] = [new Outlet(delivery, 1), new Outlet(delivery, 0)];
    expect(one.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    expect(none.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    delivery.open();
    link.pendingBytes = 7;
    expect(one.pendingBytes).toBe(7);
    window.add({ channel: 'a', epoch: 'e', offset: 1 }, 1);
    expect(one.pendingBytes).toBe(Number.POSITIVE_INFINITY);
    // QoS 0 needs no acknowledgement.
    expect(none.pendingBytes).toBe(7);
    none.requestDrain();
    expect(link.wantsDrain).toBe(true);
  });

  it('asks for a drain of the link once the window has room', () => {
    const { delivery, link, window } = makeDelivery({ countMax: 4 });
    delivery.open();
    const outlet = new Outlet(delivery, 1);
    const ids = [1, 2, 3, 4].map((offset) => window.add({ channel: 'a', epoch: 'e', offset }, 1));
    outlet.requestDrain();
    window.acknowledge(ids[0] ?? 0, 'puback');
    delivery.onRoom();
    // One message is not worth a read.
    expect(link.wantsDrain).toBe(false);
    window.acknowledge(ids[1] ?? 0, 'puback');
    delivery.onRoom();
    expect(link.wantsDrain).toBe(true);
  });
});
