import { Changes } from '@trunkline/server/internal/hub/presence/changes.ts';
import type { News } from '@trunkline/server/internal/hub/presence/changes.ts';
import { CHANGES_MAX } from '@trunkline/server/internal/hub/presence/config.ts';
import type { Member } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';

function member(session: string): Member {
  return { session, since: 1 };
}

function inShort(news: News | undefined): string | undefined {
  if (news === undefined || news === 'snapshot') return news;
  return news
    .map((event) => {
      if (event.kind === 'snapshot') return '=';
      return `${event.kind === 'join' ? '+' : '-'}${event.member.session}`;
    })
    .join(' ');
}

describe('Changes', () => {
  test('are told once, in order', () => {
    const changes = new Changes();
    expect(changes.take()).toBeUndefined();
    changes.join({}, member('a'));
    changes.leave({}, member('b'));
    changes.join({}, member('c'));
    expect(inShort(changes.take())).toBe('+a -b +c');
    expect(changes.isEmpty).toBe(true);
    expect(changes.take()).toBeUndefined();
  });

  test('do not mention who came and went [PRES-6]', () => {
    const changes = new Changes();
    const person = {};
    changes.join(person, member('a'));
    changes.join({}, member('b'));
    changes.leave(person, member('a'));
    expect(inShort(changes.take())).toBe('+b');
  });

  test('mention who went and came back as another: watchers knew the one before', () => {
    const changes = new Changes();
    const second = {};
    changes.leave({}, member('first'));
    changes.join(second, member('second'));
    expect(inShort(changes.take())).toBe('-first +second');
    changes.leave(second, member('second'));
    changes.join({}, member('third'));
    expect(inShort(changes.take())).toBe('-second +third');
  });

  test('mention who came and went if somebody has read the list in between', () => {
    const changes = new Changes();
    const seen = {};
    const unseen = {};
    changes.join(seen, member('seen'));
    changes.look();
    changes.join(unseen, member('unseen'));
    changes.leave(seen, member('seen'));
    changes.leave(unseen, member('unseen'));
    expect(inShort(changes.take())).toBe('+seen -seen');
  });

  test('become a snapshot when there are too many, and begin anew after it', () => {
    const changes = new Changes();
    for (let index = 0; index < CHANGES_MAX; index += 1) changes.join({}, member(`${index}`));
    expect(changes.take()).toHaveLength(CHANGES_MAX);
    for (let index = 0; index < 10 * CHANGES_MAX; index += 1) changes.leave({}, member(`${index}`));
    expect(changes.isEmpty).toBe(false);
    expect(changes.take()).toBe('snapshot');
    expect(changes.isEmpty).toBe(true);
    changes.join({}, member('a'));
    expect(inShort(changes.take())).toBe('+a');
  });
});
