import { parsePosition } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { checkHistory, formatViolation } from '../src/history-checker.ts';
import type { BrokenPromise, History, HistoryEvent } from '../src/history.ts';
import {
  acknowledged,
  at,
  CHANNEL,
  closed,
  gap,
  log,
  message,
  opened,
  publish,
  purged,
  reached,
  refused,
} from './histories.ts';

function check(events: readonly HistoryEvent[], more: Partial<History> = {}) {
  return checkHistory({ events, keyWindowMs: 1000, ...more });
}

/** Exactly one violation, of this promise, whose text holds `text`. */
function expectViolation(
  promise: BrokenPromise,
  text: string,
  events: readonly HistoryEvent[],
  more: Partial<History> = {},
): void {
  const found = check(events, more);
  expect(found.map((violation) => violation.promise)).toEqual([promise]);
  expect(found.map(formatViolation).join()).toContain(text);
}

/** Histories in which every promise is kept. */
const CLEAN: Record<string, [readonly HistoryEvent[], Partial<History>?]> = {
  'an empty run': [[]],
  'a stream delivered whole': [
    [
      publish('m1'),
      opened('0:0'),
      message('e:1'),
      acknowledged('m1', 'e:1'),
      publish('m2'),
      acknowledged('m2', 'e:2'),
      message('e:2'),
    ],
    { logs: log('e:1', ['m1', 'm2']) },
  ],
  'a resume on another transport': [
    [
      opened('e:1'),
      message('e:2'),
      closed,
      opened('e:2', { subscription: 's2', transport: 'sse', after: 'e:2', recovered: true }),
      message('e:3', { subscription: 's2' }),
    ],
    { logs: log('e:2', ['m2', 'm3']) },
  ],
  'a resume from before the first message': [
    [opened('e:0', { after: '0:0', recovered: true }), message('e:1')],
  ],
  'an announced trim at a resume': [
    [
      opened('e:7', {
        after: 'e:2',
        recovered: false,
        gap: { reason: 'trimmed', from: 3, to: 7 },
      }),
      message('e:8'),
    ],
  ],
  'an announced trim of a live subscription': [
    [opened('e:1'), message('e:2'), gap('e:5', 'trimmed', { from: 3, to: 5 }), message('e:6')],
  ],
  'an announced new epoch': [[opened('e:3'), gap('f:0', 'epoch'), message('f:1')]],
  'polls that hand on': [
    [
      opened('e:1', { transport: 'poll' }),
      message('e:2'),
      reached('e:2'),
      closed,
      opened('e:2', { after: 'e:2', recovered: true, transport: 'poll' }),
      reached('e:2'),
    ],
  ],
  'a repeated key': [
    [
      publish('m1', { attempt: 'a1', key: 'k' }),
      refused('a1', 'unknown'),
      publish('m1', { attempt: 'a2', key: 'k', connection: 'c2' }),
      acknowledged('a2', 'e:1'),
      publish('m1', { attempt: 'a3', key: 'k' }),
      acknowledged('a3', 'e:1'),
    ],
    { logs: log('e:1', ['m1']) },
  ],
  'a key used again after its window': [
    [
      publish('m1', { key: 'k' }),
      acknowledged('m1', 'e:1'),
      publish('m2', { key: 'k', atMs: 1001 }),
      acknowledged('m2', 'e:2'),
    ],
  ],
  'one key of two users': [
    [
      publish('m1', { key: 'k' }),
      acknowledged('m1', 'e:1'),
      publish('m2', { key: 'k', user: 'bob' }),
      acknowledged('m2', 'e:2'),
    ],
  ],
  'a purge of what was acknowledged': [
    [publish('m1'), acknowledged('m1', 'e:1'), purged, publish('m2'), acknowledged('m2', 'f:1')],
    { logs: log('f:1', ['m2']) },
  ],
  'a publish that nobody heard of again, which may have come after a purge': [
    [
      ...[publish('m1', { attempt: 'a1', key: 'k' }), publish('m1', { attempt: 'a2', key: 'k' })],
      ...[acknowledged('a2', 'e:1'), opened('e:0'), message('e:1'), closed, purged],
    ],
    { logs: log('f:1', ['m1']) },
  ],
  'a refusal that may have been stored': [
    [publish('m1'), refused('m1', 'unknown')],
    { logs: log('e:1', ['m1']) },
  ],
  'acknowledged messages that retention removed': [
    [publish('m1'), acknowledged('m1', 'e:1')],
    { logs: log('e:2', ['m2', 'm3']), retainedMin: () => 2 },
  ],
  'a verdict that both states of the log allow': [
    [
      opened('e:4', {
        after: 'e:2',
        recovered: false,
        gap: { reason: 'trimmed', from: 3, to: 4 },
        asked: { epoch: 'e', oldest: 2, top: 4 },
        answered: { epoch: 'e', oldest: 4, top: 5 },
      }),
    ],
  ],
  'messages that memory still had when the log had trimmed them': [
    [
      opened('e:2', {
        after: 'e:2',
        recovered: true,
        asked: { epoch: 'e', oldest: 4, top: 4 },
        answered: { epoch: 'e', oldest: 4, top: 4 },
      }),
      message('e:3'),
      message('e:4'),
    ],
  ],
};

describe('checkHistory finds nothing in', () => {
  for (const [name, [events, more]] of Object.entries(CLEAN)) {
    test(name, () => expect(check(events, more).map(formatViolation)).toEqual([]));
  }
});

describe('checkHistory finds a break of order', () => {
  test('when a subscription gets an earlier message late', () => {
    expectViolation(1, 'got e:2 after e:3', [
      opened('e:1'),
      gap('e:2', 'trimmed'),
      message('e:3'),
      message('e:2'),
    ]);
  });

  test('when one connection sent in another order than the offsets have', () => {
    expectViolation(1, 'sent it after m1: m2 at 1, m1 at 2', [
      publish('m1'),
      publish('m2'),
      acknowledged('m2', 'e:1'),
      acknowledged('m1', 'e:2'),
    ]);
  });

  test('also among publishes that were never answered', () => {
    expectViolation(1, 'sent it after m2', [publish('m2'), publish('m1')], {
      logs: log('e:1', ['m1', 'm2']),
    });
  });

  test('but not between connections or channels', () => {
    const events = [
      publish('m1'),
      publish('m2', { connection: 'c2' }),
      publish('m3', { channel: 'other' }),
      acknowledged('m1', 'e:3'),
      acknowledged('m2', 'e:1'),
      acknowledged('m3', 'e:1'),
    ];
    expect(check(events)).toEqual([]);
  });
});

describe('checkHistory finds a silent loss', () => {
  test('when a subscription skips a message', () => {
    expectViolation(2, 'got e:4 after e:2: 3 to 3 came neither', [opened('e:2'), message('e:4')]);
  });

  test('when a subscription never arrives at the end of the stream', () => {
    expectViolation(
      2,
      'the stream ends at e:2, the subscription at e:1',
      [opened('0:0'), message('e:1')],
      {
        logs: log('e:1', ['m1', 'm2']),
      },
    );
  });

  test('when a subscription misses the whole stream', () => {
    expectViolation(2, 'the subscription at 0:0', [opened('0:0')], { logs: log('e:1', ['m1']) });
  });

  test('when the epoch changes untold', () => {
    expectViolation(2, 'expected epoch e after e:2, got f:1', [opened('e:2'), message('f:1')]);
  });

  test('when a resume says recovered and begins later', () => {
    expectViolation(2, '"recovered" at e:4', [opened('e:4', { after: 'e:2', recovered: true })]);
  });

  test('when a resume is not told how it went', () => {
    expectViolation(2, 'not told whether it recovered', [opened('e:2', { after: 'e:2' })]);
  });

  test('when a resume failed and nothing says why', () => {
    expectViolation(2, 'no gap says why', [opened('e:4', { after: 'e:2', recovered: false })]);
  });

  test.each(['garbage', 'f:2', 'e:9'])('when %s is taken as caught up', (after) => {
    const stream = { epoch: 'e', oldest: 1, top: 5 };
    const position = parsePosition(after) === undefined ? 'e:5' : after;
    expectViolation(2, 'got recovered', [
      opened(position, { after, recovered: true, asked: stream, answered: stream }),
    ]);
  });

  test('when a gap tells of less than what is missing', () => {
    expectViolation(2, 'it begins at 4', [
      opened('e:2'),
      gap('e:5', 'trimmed', { from: 4, to: 5 }),
    ]);
    expectViolation(2, 'it ends at 4', [opened('e:2'), gap('e:5', 'trimmed', { from: 3, to: 4 })]);
    expectViolation(2, 'it ends at 4', [
      opened('e:5', { after: 'e:2', recovered: false, gap: { reason: 'trimmed', from: 3, to: 4 } }),
    ]);
  });

  test('when a gap hides a new epoch', () => {
    expectViolation(2, 'the epoch changed', [opened('e:2'), gap('f:0', 'trimmed')]);
  });

  test('when a poll sends its reader on beyond what it gave', () => {
    expectViolation(2, 'told to go on from e:4 but has everything up to e:2', [
      opened('e:1'),
      message('e:2'),
      reached('e:4'),
    ]);
  });

  test('when a reader goes on beyond where it stood', () => {
    expectViolation(2, 'stands at e:1 and was left at e:3', [
      opened('e:1'),
      closed,
      opened('e:3', { subscription: 's2', after: 'e:3', recovered: true }),
    ]);
  });
});

describe('checkHistory finds a duplicate', () => {
  test('when a subscription gets a message twice', () => {
    expectViolation(3, 'got e:2 twice', [opened('e:1'), message('e:2'), message('e:2')]);
  });

  test('when a resume gives again what the reader has', () => {
    expectViolation(3, 'got e:2 twice', [
      opened('e:1'),
      message('e:2'),
      closed,
      opened('e:2', { subscription: 's2', after: 'e:2', recovered: true }),
      message('e:2', { subscription: 's2' }),
    ]);
  });

  test('when a gap leads back', () => {
    expectViolation(3, 'would come again', [opened('e:4'), gap('e:2', 'trimmed')]);
  });

  test('when a poll sends its reader back', () => {
    expectViolation(3, 'told to go on from e:1', [opened('e:1'), message('e:2'), reached('e:1')]);
  });

  test('when one publish is stored twice', () => {
    expectViolation(3, 'is stored at e:1 and e:2', [publish('m1')], {
      logs: log('e:1', ['m1', 'm1']),
    });
  });
});

describe('checkHistory finds a resume that is judged wrongly', () => {
  const stream = { epoch: 'e', oldest: 3, top: 5 };

  test('when what the log holds is called lost', () => {
    expectViolation(4, 'expected recovered, got gap trimmed', [
      opened('e:5', {
        after: 'e:4',
        recovered: false,
        gap: { reason: 'trimmed', from: 5, to: 5 },
        asked: stream,
        answered: stream,
      }),
    ]);
  });

  test('when the reason is another one', () => {
    expectViolation(
      4,
      'expected ahead, got gap epoch',
      [
        opened('e:5', {
          after: 'e:9',
          recovered: false,
          gap: { reason: 'epoch' },
          asked: stream,
          answered: stream,
        }),
      ].map((event) => ({ ...event, position: at('e:9') })),
    );
  });
});

describe('checkHistory finds an acknowledgement that does not hold', () => {
  test('when the log ends before it', () => {
    expectViolation(5, 'but the log ends at 1', [publish('m2'), acknowledged('m2', 'e:2')], {
      logs: log('e:1', ['m1']),
    });
  });

  test('when the log is of another epoch and nobody purged it', () => {
    expectViolation(5, 'but the log is of epoch f', [publish('m1'), acknowledged('m1', 'e:1')], {
      logs: log('f:1', ['m2']),
    });
  });

  test('when the purge was before the publish', () => {
    expectViolation(5, 'of epoch f', [purged, publish('m1'), acknowledged('m1', 'e:1')], {
      logs: log('f:1', ['m2']),
    });
  });

  test('when a refused message is in the log after all', () => {
    expectViolation(5, '"stored": false and is at e:1', [publish('m1'), refused('m1', false)], {
      logs: log('e:1', ['m1']),
    });
  });

  test('when the log has a hole', () => {
    const logs = new Map([
      [CHANNEL, { epoch: 'e', oldest: 1, top: 2, payloads: new Map([[1, 'm1']]) }],
    ]);
    expectViolation(5, 'hole at 2', [], { logs });
  });

  test('when retention removed more than it may', () => {
    expectViolation(5, 'holds 1 messages, retention must leave 3', [], {
      logs: log('e:5', ['m5']),
      retainedMin: () => 3,
    });
  });
});

describe('checkHistory finds a key that counted twice', () => {
  test('when it was acknowledged with two places', () => {
    const found = check([
      publish('m1', { attempt: 'a1', key: 'k' }),
      acknowledged('a1', 'e:1'),
      publish('m1', { attempt: 'a2', key: 'k' }),
      acknowledged('a2', 'e:2'),
    ]);
    expect(found.map(formatViolation).join('\n')).toContain('with e:1 at first and e:2 later');
    expect(new Set(found.map((violation) => violation.promise))).toEqual(new Set([6]));
  });

  test('when it was stored twice, though nobody was told', () => {
    expectViolation(
      6,
      'is stored at e:1 and e:2',
      [
        publish('m1', { attempt: 'a1', key: 'k' }),
        refused('a1', 'unknown'),
        publish('m1', { attempt: 'a2', key: 'k' }),
      ],
      { logs: log('e:1', ['m1', 'm1']) },
    );
  });

  test('when it was accepted for another payload', () => {
    expectViolation(6, 'key k was taken by m1 before', [
      publish('m1', { key: 'k' }),
      acknowledged('m1', 'e:1'),
      publish('m2', { key: 'k' }),
      acknowledged('m2', 'e:2'),
    ]);
  });
});

describe('checkHistory finds an offset that means two messages', () => {
  test('to two subscriptions', () => {
    expectViolation('offset', 'e:2 meant m2 to subscription s1 and other to subscription s2', [
      opened('e:1'),
      opened('e:1', { subscription: 's2', reader: 'r2' }),
      message('e:2'),
      message('e:2', { subscription: 's2', payload: 'other' }),
    ]);
  });

  test('to a subscription before a crash and the log after it', () => {
    expectViolation('offset', 'and other to the log', [opened('0:0'), message('e:1'), closed], {
      logs: log('e:1', ['other']),
    });
  });

  test('to two publishers', () => {
    expectViolation('offset', 'the acknowledgement of m1', [
      publish('m1'),
      publish('m2', { connection: 'c2' }),
      acknowledged('m1', 'e:1'),
      acknowledged('m2', 'e:1'),
    ]);
  });
});
