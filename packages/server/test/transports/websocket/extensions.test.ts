import {
  negotiateDeflate,
  parseExtensions,
} from '@trunkline/server/internal/transports/websocket/extensions.ts';
import type { DeflatePolicy } from '@trunkline/server/internal/transports/websocket/extensions.ts';
import { describe, expect, test } from 'vitest';

const SHARED: DeflatePolicy = { context: false, windowBits: 15 };
const CONTEXT: DeflatePolicy = { context: true, windowBits: 15 };
const SMALL: DeflatePolicy = { context: true, windowBits: 12 };

const NO_CONTEXT = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

const ANSWERED: readonly (readonly [offer: string, policy: DeflatePolicy, answer: string])[] = [
  ['permessage-deflate', CONTEXT, 'permessage-deflate'],
  ['permessage-deflate', SHARED, NO_CONTEXT],
  // RFC 7692 §7.1.1.1 and §7.1.1.2.
  [
    'permessage-deflate; server_no_context_takeover',
    CONTEXT,
    'permessage-deflate; server_no_context_takeover',
  ],
  [
    'permessage-deflate; client_no_context_takeover',
    CONTEXT,
    'permessage-deflate; client_no_context_takeover',
  ],
  [
    'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
    CONTEXT,
    NO_CONTEXT,
  ],
  // RFC 7692 §7.1.2.1: the same or a smaller window.
  [
    'permessage-deflate; server_max_window_bits=10',
    CONTEXT,
    'permessage-deflate; server_max_window_bits=10',
  ],
  [
    'permessage-deflate; server_max_window_bits=14',
    SMALL,
    'permessage-deflate; client_no_context_takeover; server_max_window_bits=12',
  ],
  ['permessage-deflate; server_max_window_bits=15', CONTEXT, 'permessage-deflate'],
  [
    'permessage-deflate; server_max_window_bits=9',
    SHARED,
    `${NO_CONTEXT}; server_max_window_bits=9`,
  ],
  // A window that we may not limit is not kept.
  [
    'permessage-deflate',
    SMALL,
    'permessage-deflate; client_no_context_takeover; server_max_window_bits=12',
  ],
  // RFC 7692 §7.1.2.2: told only to a client that names the parameter.
  ['permessage-deflate; client_max_window_bits', CONTEXT, 'permessage-deflate'],
  [
    'permessage-deflate; client_max_window_bits',
    SMALL,
    'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
  ],
  [
    'permessage-deflate; client_max_window_bits=8',
    SMALL,
    'permessage-deflate; server_max_window_bits=12; client_max_window_bits=8',
  ],
  [
    'permessage-deflate; client_max_window_bits=14',
    CONTEXT,
    'permessage-deflate; client_max_window_bits=14',
  ],
  // What Chromium and Firefox send.
  ['permessage-deflate; client_max_window_bits', SHARED, NO_CONTEXT],
  // RFC 7692 §7.1.3: several offers, the first that can be met wins.
  [
    'permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits',
    CONTEXT,
    'permessage-deflate; server_max_window_bits=10',
  ],
  [
    'permessage-deflate; server_max_window_bits=8, permessage-deflate',
    CONTEXT,
    'permessage-deflate',
  ],
  ['permessage-bzip2; a="b", permessage-deflate', CONTEXT, 'permessage-deflate'],
  ['permessage-deflate; x-unknown, permessage-deflate', CONTEXT, 'permessage-deflate'],
  // RFC 6455 §9.1 and RFC 9110 §5.6.1: quotes, blanks, empty elements.
  [
    ' ,\tpermessage-deflate ; server_max_window_bits = "1\\0" ,, foo',
    CONTEXT,
    'permessage-deflate; server_max_window_bits=10',
  ],
];

const DECLINED = [
  // RFC 7692 §7.1: unknown, of no such value, or twice.
  'permessage-deflate; x-unknown',
  'permessage-deflate; server_no_context_takeover=1',
  'permessage-deflate; client_no_context_takeover=true',
  'permessage-deflate; server_max_window_bits',
  'permessage-deflate; server_max_window_bits=7',
  'permessage-deflate; server_max_window_bits=16',
  'permessage-deflate; server_max_window_bits=010',
  'permessage-deflate; server_max_window_bits=1e1',
  'permessage-deflate; server_max_window_bits=-9',
  'permessage-deflate; client_max_window_bits=7',
  'permessage-deflate; client_max_window_bits=16',
  'permessage-deflate; client_max_window_bits=08',
  'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
  'permessage-deflate; client_max_window_bits; client_max_window_bits=10',
  // RFC 7692 §7.1.2.1: zlib has no window so small.
  'permessage-deflate; server_max_window_bits=8',
  // Names are compared letter by letter.
  'PERMESSAGE-DEFLATE',
  'permessage-bzip2',
  'x-webkit-deflate-frame',
  '',
  ' , ',
];

const MALFORMED = [
  'permessage-deflate;',
  'permessage-deflate; ; client_max_window_bits',
  'permessage-deflate; server_max_window_bits=',
  'permessage-deflate; server_max_window_bits="10',
  'permessage-deflate; server_max_window_bits=""',
  'permessage-deflate; server_max_window_bits="1 0"',
  'permessage-deflate; server_max_window_bits="10\\',
  'permessage-deflate client_max_window_bits',
  'permessage-deflate=1',
  '; a',
  '"permessage-deflate"',
  'permessage-deflate, {}',
  'permessage/deflate',
  'pérmessage-deflate',
];

/** The answer to an offer; `undefined` when it was declined. */
function answerOf(offer: string | undefined, policy: DeflatePolicy): string | undefined {
  const negotiated = negotiateDeflate(offer, policy);
  return negotiated.kind === 'agreed' ? negotiated.answer : undefined;
}

describe('negotiateDeflate [COMP-2]', () => {
  test.each(ANSWERED)('answers %j with %j', (offer, policy, answer) => {
    expect(answerOf(offer, policy)).toBe(answer);
  });

  test.each(DECLINED)('declines %j', (offer) => {
    for (const policy of [SHARED, CONTEXT, SMALL]) {
      expect(negotiateDeflate(offer, policy)).toEqual({ kind: 'declined' });
    }
  });

  test('declines where nothing is offered', () => {
    expect(negotiateDeflate(undefined, CONTEXT)).toEqual({ kind: 'declined' });
  });

  test.each(MALFORMED)('finds that %j is no list of extensions', (offer) => {
    expect(negotiateDeflate(offer, CONTEXT)).toEqual({ kind: 'malformed' });
  });

  test('tells what was agreed on', () => {
    const offer = 'permessage-deflate; client_max_window_bits=10; server_max_window_bits=11';
    expect(negotiateDeflate(offer, SMALL)).toMatchObject({
      terms: {
        serverContext: true,
        clientContext: true,
        serverWindowBits: 11,
        clientWindowBits: 10,
      },
    });
    expect(negotiateDeflate('permessage-deflate', SHARED)).toMatchObject({
      terms: {
        serverContext: false,
        clientContext: false,
        serverWindowBits: 15,
        clientWindowBits: 15,
      },
    });
    // A client that names no limit can't be given one, and sends messages that stand alone.
    expect(negotiateDeflate('permessage-deflate', SMALL)).toMatchObject({
      terms: { serverWindowBits: 12, clientWindowBits: 15, clientContext: false },
    });
  });

  test('looks at sixteen offers and no more', () => {
    const bad = 'permessage-deflate; x, ';
    expect(answerOf(`${bad.repeat(15)}permessage-deflate`, CONTEXT)).toBe('permessage-deflate');
    expect(answerOf(`${bad.repeat(16)}permessage-deflate`, CONTEXT)).toBeUndefined();
  });
});

describe('parseExtensions', () => {
  test('reads names, values and quotes', () => {
    expect(parseExtensions('a, b; c; d=e;f="g\\h" ,')).toEqual([
      { name: 'a', params: [] },
      {
        name: 'b',
        params: [
          { name: 'c', value: undefined },
          { name: 'd', value: 'e' },
          { name: 'f', value: 'gh' },
        ],
      },
    ]);
  });
});
