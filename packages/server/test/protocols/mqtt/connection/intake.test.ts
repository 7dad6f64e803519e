import { ManualClock, MemoryLink } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { MqttError } from '../../../../src/protocols/mqtt/codec/faults.ts';
import { REASONS } from '../../../../src/protocols/mqtt/codec/reasons.ts';
import type { Packet } from '../../../../src/protocols/mqtt/codec/packets.ts';
import { Intake } from '../../../../src/protocols/mqtt/connection/intake.ts';
import type { Received } from '../../../../src/protocols/mqtt/connection/intake.ts';

/** Remembers whether it is read. */
class PausedLink extends MemoryLink {
  paused = false;

  override setPaused(paused: boolean): void {
    this.paused = paused;
  }
}

/** A connection that writes down what is begun; a SUBSCRIBE takes time. */
function setUp() {
  const link = new PausedLink({ clock: new ManualClock() });
  const begun: string[] = [];
  const connection = {
    link,
    ...{ isOver: false, isFull: false, resumedCount: 0 },
    onReceived: (received: Received) => {
      begun.push(received instanceof MqttError ? 'broken' : nameOf(received));
      if (!(received instanceof MqttError) && received.kind === 'subscribe') intake.hold();
    },
    onResumed: () => void (connection.resumedCount += 1),
  };
  const intake = new Intake(connection);
  return { link, begun, connection, intake };
}

function nameOf(packet: Packet): string {
  return packet.kind === 'puback' ? `puback ${packet.packetId}` : packet.kind;
}

const SUBSCRIBE: Packet = { kind: 'subscribe', packetId: 1, subscriptions: [], properties: {} };
const PING: Packet = { kind: 'pingreq' };
const ack = (packetId: number): Packet => ({
  ...{ kind: 'puback', packetId, reason: 0, properties: {} },
});

describe('Intake', () => {
  it('begins packets as they come', () => {
    const { intake, begun, link } = setUp();
    for (const packet of [PING, ack(1), PING]) intake.add(packet);
    expect(begun).toEqual(['pingreq', 'puback 1', 'pingreq']);
    expect([intake.isWaiting, link.paused]).toEqual([false, false]);
  });

  it('holds up what is behind a packet that takes time, and reads nothing more', () => {
    const { intake, begun, link, connection } = setUp();
    const broken = new MqttError(REASONS.malformedPacket, '§1', 'broken');
    for (const received of [SUBSCRIBE, PING, SUBSCRIBE, ack(3), broken]) intake.add(received);
    expect(begun).toEqual(['subscribe']);
    expect([intake.isBusy, intake.isWaiting, link.paused]).toEqual([true, true, true]);
    intake.release();
    expect(begun).toEqual(['subscribe', 'pingreq', 'subscribe']);
    expect([link.paused, connection.resumedCount]).toEqual([true, 0]);
    intake.release();
    expect(begun.slice(3)).toEqual(['puback 3', 'broken']);
    expect([link.paused, connection.resumedCount]).toEqual([false, 1]);
  });

  it('begins nothing more while its connection is full', () => {
    const { intake, begun, link, connection } = setUp();
    connection.isFull = true;
    intake.add(PING);
    intake.add(ack(1));
    expect([begun, link.paused]).toEqual([['pingreq'], true]);
    intake.proceed();
    expect(begun).toHaveLength(1);
    connection.isFull = false;
    intake.proceed();
    expect([begun, link.paused]).toEqual([['pingreq', 'puback 1'], false]);
  });

  it('begins nothing after the end', () => {
    const { intake, begun, connection } = setUp();
    intake.add(SUBSCRIBE);
    intake.add(PING);
    connection.isOver = true;
    intake.end();
    intake.release();
    intake.add(PING);
    expect(begun).toEqual(['subscribe']);
  });
});
