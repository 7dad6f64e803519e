import { describe, expect, test } from 'vitest';
import { decodeCommand } from '../src/commands.ts';

describe('decodeCommand', () => {
  test('says what was expected, what came and for which member', () => {
    const decoded = decodeCommand('{"type":"subscribe","id":3,"channel":"a","last":-1}');
    expect(decoded).toMatchObject({
      ok: false,
      id: 3,
      error: { code: 'bad_request', message: 'last must be a whole number ≥ 0, got -1' },
    });
  });

  test('says of a faulty publish that it is not stored [PUB-4]', () => {
    const faulty = '{"type":"publish","id":3,"channel":"a"}';
    expect(decodeCommand(faulty)).toMatchObject({ ok: false, id: 3, error: { stored: false } });
    const other = decodeCommand('{"type":"subscribe","id":3}');
    expect(other).toMatchObject({ ok: false, error: { stored: undefined } });
  });

  test('names the type before it misses an id', () => {
    const decoded = decodeCommand('{"type":"dance"}');
    expect(decoded).toMatchObject({ error: { message: 'type must be a command, got "dance"' } });
  });

  test('shows no more of the input than a line', () => {
    const decoded = decodeCommand(JSON.stringify({ type: 'x'.repeat(100_000) }));
    if (decoded.ok) throw new Error('expected an error');
    expect(decoded.error.message.length).toBeLessThan(120);
  });

  test.each([
    { member: 'after', lengthMax: 4096, more: '"type":"subscribe","id":1,"channel":"a"' },
    { member: 'token', lengthMax: 16_384, more: '"type":"hello"' },
    { member: 'client', lengthMax: 256, more: '"type":"hello"' },
    { member: 'key', lengthMax: 256, more: '"type":"publish","channel":"a","data":1' },
    { member: 'event', lengthMax: 128, more: '"type":"publish","channel":"a","data":1' },
  ])('takes $member up to $lengthMax characters', ({ member, lengthMax, more }) => {
    const withLength = (length: number) =>
      decodeCommand(`{${more},"${member}":"${'x'.repeat(length)}"}`).ok;
    expect(withLength(lengthMax)).toBe(true);
    expect(withLength(lengthMax + 1)).toBe(false);
  });
});
