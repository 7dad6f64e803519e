import { WaitingPolls } from '@trunkline/server/internal/api/waiting-polls.ts';
import { describe, expect, test } from 'vitest';

describe('WaitingPolls', () => {
  test('counts by address and forgets addresses at zero', () => {
    const polls = new WaitingPolls(2);
    polls.enter('a');
    polls.enter('a');
    polls.enter('b');
    expect(polls.count).toBe(3);
    expect(() => polls.enter('a')).toThrow(expect.objectContaining({ code: 'rate_limited' }));
    expect(polls.count).toBe(3);
    polls.leave('a');
    polls.enter('a');
    for (const address of ['a', 'a', 'b']) polls.leave(address);
    expect(polls.count).toBe(0);
  });
});
