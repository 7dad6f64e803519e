import { describe, expect, test } from 'vitest';
import { MessageBatch } from '../../../src/hub/message-batch.ts';
import { Passing } from '../../../src/hub/reading/passing.ts';

function batch(channel: string, ...payloads: readonly string[]): MessageBatch {
  const messages = payloads.map((text) => ({
    ...{ offset: 0, time: 0, payload: Buffer.from(text) },
    ...(text.startsWith('!') ? { expiresAt: 5 } : {}),
    slot: text.slice(0, 1),
  }));
  return new MessageBatch(channel, '', messages);
}

function texts(runs: ReturnType<Passing['take']>): string[] {
  return runs.flatMap(({ channel, messages }) =>
    messages.map(({ payload }) => `${channel} ${Buffer.from(payload).toString()}`),
  );
}

describe('what passes by', () => {
  test('is kept as it came, and taken once', () => {
    const passing = new Passing(4);
    passing.add(batch('x', 'a1', 'a2'));
    passing.add(batch('y', 'b1'));
    expect(passing.isEmpty).toBe(false);
    expect(texts(passing.take(4, 0))).toEqual(['x a1', 'x a2', 'y b1']);
    expect(passing.isEmpty).toBe(true);
    expect(passing.take(4, 0)).toEqual([]);
  });

  test('is the newest of each slot where there is more', () => {
    const passing = new Passing(3);
    passing.add(batch('x', 'a1', 'a2', 'b1'));
    passing.add(batch('x', 'a3'));
    passing.add(batch('y', 'a4'));
    expect(texts(passing.take(3, 0))).toEqual(['x b1', 'x a3', 'y a4']);
    passing.add(batch('x', 'a1', 'b1', 'a2'));
    expect(texts(passing.take(1, 0))).toEqual(['x a2']);
    passing.add(batch('x', 'a1'));
    expect(texts(passing.take(0, 0))).toEqual([]);
  });

  test('is not what has expired', () => {
    const passing = new Passing(3);
    passing.add(batch('x', '!1', 'a1'));
    passing.add(batch('y', '!2'));
    expect(texts(passing.take(3, 10))).toEqual(['x a1']);
  });
});
