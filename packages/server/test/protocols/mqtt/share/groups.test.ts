import { MemoryLink } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../../src/observe/log.ts';
import { MqttCounts } from '../../../../src/protocols/mqtt/counts.ts';
import { Delivery } from '../../../../src/protocols/mqtt/delivery/delivery.ts';
import type { Form } from '../../../../src/protocols/mqtt/messages/form.ts';
import { SessionStore } from '../../../../src/protocols/mqtt/session/session-store.ts';
import { ShareGroups } from '../../../../src/protocols/mqtt/share/groups.ts';
import { Window } from '../../../../src/protocols/mqtt/delivery/window.ts';
import { anonymous, startMqtt } from '../mqtt-setup.ts';

const SHARE = '$share/g/a/+';
const FORM: Form = { version: 4, qos: 0, retainAsPublished: false, ids: [], positions: false };

async function setUp() {
  const { broker, clock, hub, turn, publish } = await startMqtt();
  const { state } = broker;
  const groups = new ShareGroups({
    ...{ hub, state, clock, log: silentLog },
    sessions: new SessionStore(state),
    config: { ackSaveMs: 1_000, highWaterSize: 10_000 },
  });
  /** A member of a session that ends with its connection, and has QoS 0. */
  const join = async (key: string) => {
    const link = new MemoryLink({ clock, turn });
    const window = new Window(8);
    const delivery = new Delivery({
      ...{ link, window, packetSizeMax: 1_000, counts: new MqttCounts() },
      ...{ aliases: undefined, store: undefined, losses: undefined },
    });
    delivery.open();
    const group = groups.of(SHARE);
    const member = await group.join({
      kept: { key, qos: 0, expirySeconds: 0 },
      session: {
        ...{ delivery, store: undefined, onLoss: () => {} },
        caller: () => ({ identity: anonymous, session: key }),
      },
      form: FORM,
      ...{ held: [], finishes: new Set<string>(), isResumed: false },
    });
    group.begin(member);
    await clock.settle();
    return { link, group, member };
  };
  return { clock, groups, join, publish };
}

describe('ShareGroups', () => {
  it('has one group for each name, as long as somebody is there', async () => {
    const { groups, join, clock } = await setUp();
    const one = await join('a');
    const two = await join('b');
    expect([one.group === two.group, groups.count]).toEqual([true, 1]);
    await one.group.leave(one.member, 0);
    expect(groups.count).toBe(1);
    await two.group.leave(two.member, 0);
    expect(groups.count).toBe(0);
    const three = await join('c');
    expect(three.group).not.toBe(one.group);
    // It has ended: nothing comes of it any more.
    await one.group.leave(one.member, 60);
    one.group.retire(one.member);
    await clock.settle();
    expect(groups.count).toBe(1);
  });

  it('reads on from its place when the hub could not go on', async () => {
    const { clock, join, publish } = await setUp();
    const { link, group } = await join('a');
    await publish('a/x', 'm1');
    group.onBroken();
    await publish('a/x', 'm2');
    expect(link.frames).toHaveLength(1);
    await clock.pass(1_000);
    await publish('a/x', 'm3');
    const text = link.frames.map((frame) => Buffer.from(frame).toString('latin1')).join('');
    expect(text.match(/m\d/g)).toEqual(['m1', 'm2', 'm3']);
  });

  it('leaves it when everybody went meanwhile', async () => {
    const { clock, groups, join } = await setUp();
    const { group, member } = await join('a');
    group.onBroken();
    await group.leave(member, 0);
    await clock.pass(1_000);
    expect(groups.count).toBe(0);
  });
});
