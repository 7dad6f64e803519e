import { MemberList } from '@trunkline/server/internal/hub/presence/member-list.ts';
import { comparePlaces } from '@trunkline/server/internal/hub/presence/place.ts';
import type { Place } from '@trunkline/server/internal/hub/presence/place.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

interface Item {
  readonly member: Place;
}

function item(since: number, session = 's'): Item {
  return { member: { since, session } };
}

/** Counts how often any member's place is looked at. */
function countingItems(): { make(since: number): Item; looks: number } {
  return {
    looks: 0,
    make(since) {
      const look = (): number => {
        this.looks += 1;
        return since;
      };
      const member = {
        session: 's',
        get since() {
          return look();
        },
      };
      return { member };
    },
  };
}

describe('MemberList', () => {
  test('keeps everyone in order, whatever the order of coming and going', () => {
    for (let seed = 1; seed <= 8; seed += 1) {
      const random = seededRandom(seed);
      const list = new MemberList<Item>();
      const model: Item[] = [];
      for (let step = 0; step < 6_000; step += 1) {
        // It grows, then shrinks to nothing, so that chunks are cut and joined.
        const grows = random.chance(step < 3_000 ? 0.7 : 0.2);
        if (grows || model.length === 0) {
          const since = random.chance(0.5) ? step : random.integer(step + 1);
          const added = item(since, random.word(6));
          list.add(added);
          model.push(added);
        } else {
          const [gone] = model.splice(random.integer(model.length), 1);
          if (gone !== undefined) {
            list.delete(gone);
            list.delete(gone);
          }
        }
      }
      model.sort((a, b) => comparePlaces(a.member, b.member));
      expect(list.size).toBe(model.length);
      expect([...list.after(undefined)]).toEqual(model);
      for (let probe = 0; probe < 50; probe += 1) {
        const place = { since: random.integer(6_000), session: random.word(2) };
        const expected = model.filter(({ member }) => comparePlaces(member, place) > 0);
        expect([...list.after(place)]).toEqual(expected);
      }
    }
  });

  test('does not take out someone else at the same place', () => {
    const list = new MemberList<Item>();
    list.add(item(1));
    list.delete(item(1));
    list.delete(item(2));
    expect(list.size).toBe(1);
  });

  test('a change among 100,000 looks at a few of them only', () => {
    const items = countingItems();
    const list = new MemberList<Item>();
    const all = Array.from({ length: 100_000 }, (_, since) => items.make(since));
    for (const one of all) list.add(one);
    // 17 halvings; each reads two members, twice.
    const LOOKS_MAX = 100;
    expect(items.looks / all.length).toBeLessThan(LOOKS_MAX);
    const random = seededRandom(7);
    for (let flap = 0; flap < 1_000; flap += 1) {
      const one = random.pick(all);
      items.looks = 0;
      list.delete(one);
      expect(items.looks).toBeLessThan(LOOKS_MAX);
      items.looks = 0;
      list.add(one);
      expect(items.looks).toBeLessThan(LOOKS_MAX);
    }
  });

  test('a page of a list that was long once costs no more than any other', () => {
    const items = countingItems();
    const list = new MemberList<Item>();
    const all = Array.from({ length: 100_000 }, (_, since) => items.make(since));
    for (const one of all) list.add(one);
    all.forEach((one, index) => {
      if (index % 1_000 !== 0) list.delete(one);
    });
    expect(list.size).toBe(100);
    items.looks = 0;
    const page = [...list.after({ since: 49_999, session: 's' })];
    expect(page).toHaveLength(50);
    expect(items.looks).toBeLessThan(100);
  });
});
