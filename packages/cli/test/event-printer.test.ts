import { describe, expect, test } from 'vitest';
import { EventPrinter } from '../src/event-printer.ts';
import type { PrintedEvent } from '../src/event-printer.ts';
import { fakeIo } from './support/io.ts';

const MESSAGE = { kind: 'message', channel: 'a', epoch: 'e', offset: 7 } as const;

function print(json: boolean, ...events: PrintedEvent[]) {
  const io = fakeIo();
  const printer = new EventPrinter(io, json);
  for (const event of events) printer.print(event);
  return io;
}

describe('printing for people', () => {
  test.each<[PrintedEvent, string]>([
    [{ ...MESSAGE, data: { x: 1 }, source: '{"x": 1.0}' }, 'e:7 {"x": 1.0}\n'],
    [{ ...MESSAGE, data: 'hi', contentType: 'text/plain', event: 'said' }, 'e:7 said hi\n'],
    [{ ...MESSAGE, data: undefined, bytes: new Uint8Array([0, 1]) }, 'e:7 (2 bytes) AAE=\n'],
    [{ ...MESSAGE, data: 'a\u001b[2Jb\u0007' }, 'e:7 a\\u001b[2Jb\\u0007\n'],
  ])('prints %j', (event, line) => {
    const io = print(false, event);
    expect(io.outText()).toBe(line);
    expect(io.errText()).toBe('');
  });

  test('tells of the connection on standard error', () => {
    const gap = { reason: 'trimmed', from: 1, to: 4 } as const;
    const io = print(
      false,
      { kind: 'state', state: 'connecting', reason: 'lost' },
      { kind: 'open', channel: 'a', position: 'e:4', recovered: false, gap },
      { kind: 'open', channel: 'a', position: 'e:4', recovered: true },
      { kind: 'gap', channel: 'a', position: 'e:9', gap: { reason: 'epoch' } },
    );
    expect(io.outText()).toBe('');
    expect(io.err).toEqual([
      'trunkline: connecting (lost)\n',
      'trunkline: a: open at e:4, missed 1–4 (trimmed)\n',
      'trunkline: a: open at e:4, nothing missed\n',
      'trunkline: a: gap: at e:9, missed (epoch)\n',
    ]);
  });
});

describe('printing for programs', () => {
  test('embeds the payload as published, with its position', () => {
    const io = print(true, { ...MESSAGE, data: 1e20, source: '100000000000000000000' });
    expect(io.outText()).toBe(
      '{"kind":"message","channel":"a","epoch":"e","offset":7,"position":"e:7","data":100000000000000000000}\n',
    );
  });

  test('prints one object a line for everything', () => {
    const io = print(
      true,
      { ...MESSAGE, data: 'two\nlines' },
      { ...MESSAGE, data: undefined, bytes: new Uint8Array([0, 1]) },
      { kind: 'state', state: 'connected' },
    );
    const objects = io
      .outText()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(objects).toEqual([
      { ...MESSAGE, position: 'e:7', data: 'two\nlines' },
      { ...MESSAGE, position: 'e:7', bytes: 'AAE=' },
      { kind: 'state', state: 'connected' },
    ]);
    expect(io.errText()).toBe('');
  });
});
