import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { askSecrets } from '../src/secrets.ts';
import { UsageError } from '../src/usage-error.ts';

function setUp(prompts: readonly string[] = ['Password: ', 'Again: ']) {
  const input = new PassThrough();
  const out: string[] = [];
  const given = askSecrets(input, { write: (text) => void out.push(text) }, prompts);
  return { input, out, given };
}

describe('askSecrets', () => {
  test('shows the prompts and nothing of what is typed', async () => {
    const { input, out, given } = setUp();
    for (const key of 'päss\r') input.write(key);
    for (const key of 'word\r') input.write(key);
    expect(await given).toEqual(['päss', 'word']);
    expect(out.join('')).toBe('Password: \nAgain: \n');
  });

  test('takes lines that come in one piece, and leaves out what comes after them', async () => {
    const { input, given } = setUp();
    input.write('one\ntwo\nthree\n');
    expect(await given).toEqual(['one', 'two']);
  });

  test('knows keys that change the line', async () => {
    const { input, given } = setUp(['Password: ']);
    input.write('hunter3');
    input.write('\u{7f}');
    input.write('2\r');
    expect(await given).toEqual(['hunter2']);
  });

  test('keeps spaces', async () => {
    const { input, given } = setUp(['Password: ']);
    input.write('  a b \r');
    expect(await given).toEqual(['  a b ']);
  });

  test.each([
    ['Ctrl-C', '\u{3}'],
    ['Ctrl-D', '\u{4}'],
  ])('ends by %s', async (_what, key) => {
    const { input, out, given } = setUp();
    input.write('one\r');
    input.write(key);
    await expect(given).rejects.toThrow(UsageError);
    expect(out.join('')).toBe('Password: \nAgain: \n');
  });

  test('ends with its input', async () => {
    const { input, given } = setUp();
    input.end('one');
    await expect(given).rejects.toThrow('nothing was given');
  });
});
