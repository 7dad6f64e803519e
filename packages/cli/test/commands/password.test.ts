import { Authenticator } from '@trunkline/server/internal/auth/authenticator.ts';
import { ManualClock } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { run } from '../../src/main.ts';
import { fakeIo } from '../support/io.ts';

const CHEAP = ['password', '--cost', '1024'];

/** True when a server that knows the hash lets somebody in with the password. */
async function opens(hash: string, password: string): Promise<boolean> {
  const options = { development: false, secret: 'node', users: { ann: { password: hash } } };
  const origins = { isTrusted: () => false };
  const authenticator = new Authenticator(options, { clock: new ManualClock(), origins });
  return (await authenticator.fromPassword('ann', password)).kind === 'identity';
}

describe('trunkline password', () => {
  test.each([
    ['a line', 'correct horse\n', 'correct horse'],
    ['a line of Windows', 'correct horse\r\n', 'correct horse'],
    ['text without an end', ' pässwörd ', ' pässwörd '],
  ])('prints the hash of %s, which a server takes', async (_what, stdin, password) => {
    const io = fakeIo({ stdin });
    expect(await run(CHEAP, io)).toBe(0);
    const [hash = '', ...rest] = io.outText().split('\n');
    expect(hash).toMatch(/^scrypt\$1024\$8\$5\$/);
    expect(rest).toEqual(['']);
    expect(await opens(hash, password)).toBe(true);
    expect(await opens(hash, `${password}x`)).toBe(false);
  });

  test('makes hashes as costly as they should be unless it is told otherwise', async () => {
    const io = fakeIo({ stdin: 'x' });
    expect(await run(['password'], io)).toBe(0);
    expect(io.outText()).toMatch(/^scrypt\$16384\$8\$5\$/);
  });

  test('asks twice on a terminal', async () => {
    const prompts: string[] = [];
    const answers = (...lines: string[]) => ({
      ...fakeIo(),
      askSecrets: (asked: readonly string[]) => {
        prompts.push(...asked);
        return Promise.resolve(lines);
      },
    });
    const io = answers('hunter2', 'hunter2');
    expect(await run(CHEAP, io)).toBe(0);
    expect(await opens(io.outText().trim(), 'hunter2')).toBe(true);
    expect(prompts).toEqual(['Password: ', 'Again: ']);
    const slip = answers('hunter2', 'hunter3');
    expect(await run(CHEAP, slip)).toBe(2);
    expect(slip.errText()).toBe('trunkline: the passwords are not the same\n');
    expect(slip.outText()).toBe('');
  });

  test.each([
    ['nothing', '', /expected a password on standard input/],
    ['an empty line', '\n', /must not be empty/],
    ['two lines', 'a\nb\n', /expected one line/],
    ['too much', 'x'.repeat(1025), /at most 1024 bytes/],
  ])('refuses %s', async (_what, stdin, message) => {
    const io = fakeIo({ stdin });
    expect(await run(CHEAP, io)).toBe(2);
    expect(io.errText()).toMatch(message);
    expect(io.outText()).toBe('');
  });

  test('refuses bytes that are no text', async () => {
    const stdin = (async function* bytes() {
      yield Uint8Array.of(0x61, 0xff, 0x0a);
    })();
    const io = fakeIo({ stdin });
    expect(await run(CHEAP, io)).toBe(2);
    expect(io.errText()).toMatch(/must be UTF-8/);
  });

  test.each(['1000', '512', '524288', 'much', '-1024', '1e4'])(
    'refuses the cost %s',
    async (cost) => {
      const io = fakeIo({ stdin: 'x' });
      expect(await run(['password', '--cost', cost], io)).toBe(2);
      expect(io.errText()).toMatch(
        /--cost must be a (?:number|power of two from 1024 to 262144), got /,
      );
      expect(io.errText()).toContain(`got ${cost}`);
    },
  );
});
