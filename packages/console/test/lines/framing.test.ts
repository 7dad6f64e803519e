import { encodeJsonRecord, encodeRuns } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { FRAMINGS } from '../../src/lines/framing.ts';

const pong = { type: 'pong' };
const message = {
  type: 'message',
  channel: 'a',
  epoch: 'k3f9',
  offset: 1,
  time: 5,
  data: { x: 1 },
  mark: '~m',
};

const SAID = [
  { kind: 'frame', frame: pong },
  {
    kind: 'message',
    message: {
      channel: 'a',
      position: { epoch: 'k3f9', offset: 1 },
      kind: 'json',
      payload: '{"x":1}',
      time: 5,
    },
    mark: '~m',
  },
];

function binaryFrame(): ArrayBuffer {
  const payload = new TextEncoder().encode('{"x":1}');
  const run = { channel: 'a', epoch: 'k3f9', messages: [{ offset: 1, time: 5, payload }] };
  const parts = [encodeJsonRecord(JSON.stringify(pong)), encodeRuns([run], '~m')];
  return Uint8Array.from(parts.flatMap((part) => [...part])).buffer;
}

describe('a framing', () => {
  test('reads the same in JSON and in binary [BIN-1]', () => {
    const text = `${JSON.stringify(pong)}\n${JSON.stringify(message)}`;
    expect(FRAMINGS.json.decode(text)).toEqual(SAID);
    expect(FRAMINGS.binary.decode(binaryFrame())).toEqual(SAID);
  });

  test('counts bytes of UTF-8, not letters', () => {
    expect(FRAMINGS.json.sizeOf('é')).toBe(2);
    expect(FRAMINGS.binary.sizeOf(new ArrayBuffer(7))).toBe(7);
  });

  test('reads nothing from a frame of the other kind', () => {
    expect(FRAMINGS.json.decode(new ArrayBuffer(2))).toEqual([]);
    expect(FRAMINGS.binary.decode('{}')).toEqual([]);
  });

  test('throws at what is none of it', () => {
    expect(() => FRAMINGS.json.decode('hello')).toThrow(SyntaxError);
    expect(() => FRAMINGS.binary.decode(Uint8Array.of(1, 200).buffer)).toThrow();
  });

  test('writes a command as text or as one record', () => {
    expect(FRAMINGS.json.encode(pong)).toBe('{"type":"pong"}');
    expect(FRAMINGS.binary.encode(pong)).toEqual(encodeJsonRecord('{"type":"pong"}'));
  });
});
