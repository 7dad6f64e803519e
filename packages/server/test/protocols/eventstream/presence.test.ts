import { eventStreamPresence } from '@trunkline/server/internal/protocols/eventstream/presence.ts';
import { describe, expect, test } from 'vitest';

describe('eventStreamPresence', () => {
  test('writes join, leave and presence, each on one line and without an id [PRES-10]', () => {
    const alice = { session: 's1', user: 'alice', info: 'a\r\nb', since: 5 };
    const bytes = eventStreamPresence.encode('room', [
      { kind: 'join', member: alice },
      { kind: 'leave', member: alice },
      { kind: 'snapshot', page: { members: [alice], count: 1 } },
    ]);
    const member = '{"session":"s1","user":"alice","info":"a\\r\\nb","since":5}';
    expect(Buffer.from(bytes).toString()).toBe(
      `event: join\ndata: {"channel":"room","member":${member}}\n\n` +
        `event: leave\ndata: {"channel":"room","member":${member}}\n\n` +
        `event: presence\ndata: {"channel":"room","members":[${member}],"count":1}\n\n`,
    );
  });
});
