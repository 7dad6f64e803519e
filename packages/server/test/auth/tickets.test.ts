import { Tickets } from '@trunkline/server/internal/auth/tickets.ts';
import { INFO_BYTES_MAX } from '@trunkline/server/internal/auth/claims.ts';
import { ACTIONS } from '@trunkline/server/internal/auth/identity.ts';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import { TEXT_LIMITS } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { beforeEach, describe, expect, test } from 'vitest';

const DAY_MS = 24 * 60 * 60 * 1000;

describe('Tickets', () => {
  let clock: ManualClock;
  let tickets: Tickets;
  let alice: Identity;

  beforeEach(() => {
    clock = new ManualClock();
    tickets = new Tickets('node secret', clock);
    alice = {
      kind: 'user',
      user: 'alice',
      grants: new Map([
        ['room/+', new Set(['subscribe', 'publish'] as const)],
        ['__proto__', new Set(ACTIONS)],
        ['none', new Set()],
      ]),
      expiresAt: clock.unixMs() + 60_000,
    };
  });

  function refusedWith(message: string): unknown {
    return expect.objectContaining({
      code: 'unauthenticated',
      message: expect.stringContaining(message),
    });
  }

  test('bring the identity back, at every node with the same secret', () => {
    const ticket = tickets.sign(alice);
    expect(new Tickets('node secret', clock).verify(ticket)).toEqual(alice);
    const server: Identity = { kind: 'server', grants: new Map() };
    expect(tickets.verify(tickets.sign(server))).toEqual(server);
    const anonymous: Identity = { kind: 'anonymous', grants: new Map() };
    expect(tickets.verify(tickets.sign(anonymous))).toEqual(anonymous);
  });

  test('carry what others see of the user, as it was [AUTH-8]', () => {
    const values: unknown[] = [
      null,
      0,
      '',
      [],
      { name: 'Ada', deep: [{ '': 1 }] },
      JSON.parse('{"__proto__":{"a":1},"2":"two","1":"one"}'),
    ];
    for (const info of values) {
      const shown: Identity = { ...alice, info };
      const back = tickets.verify(tickets.sign(shown));
      expect(back).toEqual(shown);
      expect(JSON.stringify(back.info)).toBe(JSON.stringify(info));
    }
    expect(tickets.verify(tickets.sign(alice))).not.toHaveProperty('info');
  });

  test('with the largest info are short enough to be sent', () => {
    const info = 'x'.repeat(INFO_BYTES_MAX - 2);
    expect(tickets.sign({ ...alice, info }).length).toBeLessThan(TEXT_LIMITS.token / 2);
  });

  test('end with the identity', () => {
    const ticket = tickets.sign(alice);
    clock.advance(59_999);
    expect(tickets.verify(ticket)).toEqual(alice);
    clock.advance(1);
    expect(() => tickets.verify(ticket)).toThrow(refusedWith('expired'));
  });

  test('of an identity without an end are good for a day, and give it no end', () => {
    const endless: Identity = { kind: 'user', user: 'bob', grants: new Map() };
    const ticket = tickets.sign(endless);
    clock.advance(DAY_MS - 1);
    expect(tickets.verify(ticket)).toEqual(endless);
    clock.advance(1);
    expect(() => tickets.verify(ticket)).toThrow(refusedWith('expired'));
  });

  test('are one and the same for all anonymous clients', () => {
    const anonymous = (): Identity => ({ kind: 'anonymous', grants: new Map() });
    const ticket = tickets.sign(anonymous());
    expect(tickets.sign(anonymous())).toBe(ticket);
    clock.advance(30 * DAY_MS);
    expect(tickets.verify(ticket).kind).toBe('anonymous');
  });

  test('are refused when another secret signed them', () => {
    const ticket = new Tickets('another secret', clock).sign(alice);
    expect(() => tickets.verify(ticket)).toThrow(refusedWith('not signed by this server'));
  });

  test('are refused with any one character changed, left out or added', () => {
    const ticket = tickets.sign(alice);
    for (let at = 0; at < ticket.length; at += 1) {
      const other = ticket[at] === 'A' ? 'B' : 'A';
      for (const forged of [
        ticket.slice(0, at) + other + ticket.slice(at + 1),
        ticket.slice(0, at) + ticket.slice(at + 1),
        `${ticket.slice(0, at)}A${ticket.slice(at)}`,
        ticket.slice(0, at),
      ]) {
        if (forged !== ticket) expect(() => tickets.verify(forged)).toThrow(refusedWith('resume'));
      }
    }
    expect(() => tickets.verify(`${ticket}=`)).toThrow(refusedWith('resume'));
  });

  test.each(['', '.', 'r1.', 'r1..', 'r2.e30.x', 'token', 'a.b.c', '\ud800', 'r1.é.é'])(
    'refuse %j',
    (text) => {
      expect(() => tickets.verify(text)).toThrow(refusedWith('resume'));
    },
  );

  test('of a token as long as allowed can be said in a hello', () => {
    // Three quarters of a token's text are its JSON; as many grants as fit with the least around.
    const grants = new Map<string, ReadonlySet<never>>();
    let claim = '{"sub":"a","channels":{}}'.length;
    for (let index = 0; claim < (TEXT_LIMITS.token - 70) * 0.75; index += 1) {
      grants.set(index.toString(36), new Set());
      claim += `"${index.toString(36)}":[],`.length;
    }
    const ticket = tickets.sign({ kind: 'user', user: 'a', grants, expiresAt: clock.unixMs() + 1 });
    expect(ticket.length).toBeLessThanOrEqual(TEXT_LIMITS.token);
  });
});
