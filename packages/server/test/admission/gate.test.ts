import { CodedError } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { admit } from '../../src/admission/gate.ts';
import type { LetIn } from '../../src/admission/gate.ts';
import { ALLOWED, head, setUpGate } from './requests.ts';

/** Lets everyone in and says who came. */
function greeter() {
  const came: (string | undefined)[] = [];
  const letIn: LetIn = (identity) => {
    came.push(identity === undefined ? undefined : (identity.user ?? identity.kind));
    return { kind: 'welcome', open: () => ({ onFrame() {}, onDrain() {}, onClose() {} }) };
  };
  return { came, letIn };
}

describe('a client with a token', () => {
  test('is let in as who it is: later the first time, at once when the token is known', async () => {
    const { gate, token } = await setUpGate();
    const { came, letIn } = greeter();
    const request = head({ authorization: `Bearer ${token}` });
    const first = admit(gate, request, letIn);
    expect(first).toBeInstanceOf(Promise);
    expect(await first).toMatchObject({ kind: 'welcome' });
    expect(admit(gate, request, letIn)).toMatchObject({ kind: 'welcome' });
    expect(came).toEqual(['alice', 'alice']);
  });

  test('that is not valid is refused before anyone is let in', async () => {
    const { gate } = await setUpGate();
    const { came, letIn } = greeter();
    const request = head({ authorization: 'Bearer a.b.c', origin: ALLOWED });
    expect(await admit(gate, request, letIn)).toMatchObject({
      kind: 'refused',
      close: { code: 'unauthenticated' },
      tellInside: true,
    });
    expect(came).toEqual([]);
  });
});

describe('a client without a token', () => {
  test('is nobody where strangers are not let in, and anonymous where they are', async () => {
    const closed = await setUpGate();
    const open = await setUpGate({ anonymous: true });
    const { came, letIn } = greeter();
    await admit(closed.gate, head(), letIn);
    await admit(open.gate, head(), letIn);
    expect(came).toEqual([undefined, 'anonymous']);
  });
});

describe('a page', () => {
  test('of a foreign origin is told 403 and nothing else, whatever else is wrong', async () => {
    const { gate, node } = await setUpGate({ anonymous: true });
    const { came, letIn } = greeter();
    node.isClosed = true;
    const foreign = head({ origin: 'https://evil.example', authorization: 'Bearer wrong' });
    expect(admit(gate, foreign, letIn)).toEqual({
      kind: 'refused',
      close: { code: 'forbidden' },
      message: 'https://evil.example is not an allowed origin',
      tellInside: false,
    });
    expect(came).toEqual([]);
  });

  test('of an allowed origin may read why it is refused [HTTP-3]', async () => {
    const { gate } = await setUpGate();
    const refusing: LetIn = () => {
      throw new CodedError('unavailable', 'not now', { retryAfter: 50 });
    };
    expect(admit(gate, head({ origin: ALLOWED }), refusing)).toEqual({
      kind: 'refused',
      close: { code: 'unavailable', retryAfter: 50 },
      message: 'not now',
      tellInside: true,
      headers: {
        'access-control-allow-origin': ALLOWED,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'ETag, Retry-After',
        vary: 'Origin',
      },
    });
  });

  test('in development mode must be of this machine, and so must the host', async () => {
    const { gate } = await setUpGate({ development: true });
    const { letIn } = greeter();
    const refused = { kind: 'refused', close: { code: 'forbidden' }, tellInside: false };
    expect(admit(gate, head({ host: 'evil.example' }), letIn)).toMatchObject(refused);
    expect(admit(gate, head({ origin: 'https://evil.example' }), letIn)).toMatchObject(refused);
    const local = head({ origin: 'http://localhost:5173' });
    expect(admit(gate, local, letIn)).toMatchObject({ kind: 'welcome' });
  });
});

describe('a node that drains', () => {
  test('refuses everyone, with a time to come back', async () => {
    const { gate, node, token } = await setUpGate();
    const { came, letIn } = greeter();
    node.isClosed = true;
    const refused = { close: { code: 'draining', retryAfter: 700 } };
    expect(admit(gate, head(), letIn)).toMatchObject(refused);
    const known = head({ authorization: `Bearer ${token}` });
    expect(admit(gate, known, letIn)).toMatchObject(refused);
    expect(came).toEqual([]);
  });

  test('refuses those too whose tokens were being checked when it began', async () => {
    const { gate, node, token } = await setUpGate();
    const { came, letIn } = greeter();
    const checking = admit(gate, head({ authorization: `Bearer ${token}` }), letIn);
    node.isClosed = true;
    expect(await checking).toMatchObject({ kind: 'refused', close: { code: 'draining' } });
    expect(came).toEqual([]);
  });
});

test('a fault of ours is not told as a refusal', async () => {
  const { gate } = await setUpGate();
  const failing: LetIn = () => {
    throw new TypeError('a bug');
  };
  expect(() => admit(gate, head(), failing)).toThrow(TypeError);
});
