import { MemoryLink } from '@trunkline/testkit';
import { formatPosition } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import type { SelectionSubscriber } from '../../../../src/hub/selection/selection-cursor.ts';
import { SharedBatch } from '../../../../src/link/shared-batch.ts';
import { openCursor } from '../../../../src/protocols/mqtt/subscriptions/opening.ts';
import { anonymous, startMqtt } from '../mqtt-setup.ts';

const NOWHERE = { epoch: '', offset: 0 };
const caller = { identity: anonymous, session: 's' };

/** Opens cursors of one node for somebody who is not interested in messages. */
async function startOpening(rulesOf?: (channel: string) => { readonly volatile: boolean }) {
  const world = await startMqtt(rulesOf === undefined ? {} : { rulesOf });
  const subscriber: SelectionSubscriber = {
    link: new MemoryLink({ clock: world.clock }),
    encoding: { name: 'nothing', encode: () => new SharedBatch(new Uint8Array(0), false) },
    onGap() {},
    onMark() {},
  };
  /** The place as a record keeps it. */
  const open = async (filter: string, kept?: string) => {
    const opening = { caller, filter, kept };
    const { place, losses } = await openCursor(world.hub, subscriber, opening);
    return { losses, place: typeof place === 'string' ? place : formatPosition(place) };
  };
  const publish = async (channel: string) =>
    formatPosition((await world.publish(channel, 'x')) ?? NOWHERE);
  return { open, publish };
}

describe('openCursor', () => {
  it('begins with what comes from now on, and says where that is', async () => {
    const { open, publish } = await startOpening();
    const place = await publish('a');
    expect(await open('a')).toEqual({ place, losses: [] });
    expect((await open('+')).place).toMatch(/^~/);
  });

  it('goes on from a place that was kept', async () => {
    const { open, publish } = await startOpening();
    const place = await publish('a');
    const { place: mark } = await open('+');
    await publish('a');
    expect(await open('a', place)).toEqual({ place, losses: [] });
    expect(await open('+', mark)).toEqual({ place: mark, losses: [] });
  });

  it('says what is lost, of a pattern as a whole where no channel is known', async () => {
    const { open, publish } = await startOpening();
    await publish('a');
    expect((await open('a', 'gone:1')).losses).toMatchObject([{ channel: 'a' }]);
    expect((await open('+', '~what')).losses).toMatchObject([{ channel: '+' }]);
  });

  it('knows no place of a volatile channel', async () => {
    const { open } = await startOpening(() => ({ volatile: true }));
    expect(await open('a')).toEqual({ place: '', losses: [] });
  });
});
