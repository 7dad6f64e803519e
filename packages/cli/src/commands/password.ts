/** `trunkline password`: the hash of a password, for `auth.users` in a config file. */
import { Command } from 'commander';
import { costFault, hashPassword, PASSWORD_COST, passwordFault } from '@trunkline/server';
import type { Io } from '../io.ts';
import { readLines } from '../lines.ts';
import { UsageError } from '../usage-error.ts';

interface PasswordOptions {
  readonly cost: string;
}

/** Makes the command. */
export function createCommand(io: Io): Command {
  const command = new Command('password').option(
    '--cost <number>',
    'what each check costs: N of scrypt, a power of two',
    String(PASSWORD_COST.usual),
  );
  command.action(async () => {
    const cost = costOf(command.opts<PasswordOptions>().cost);
    const password = io.askSecrets === undefined ? await readOne(io) : await ask(io.askSecrets);
    const fault = passwordFault(password);
    if (fault !== undefined) throw new UsageError(`a password ${fault}`);
    io.stdout.write(`${await hashPassword(password, cost)}\n`);
  });
  return command;
}

function costOf(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) throw new UsageError(`--cost must be a number, got ${text}`);
  const cost = Number(text);
  const fault = costFault(cost);
  if (fault !== undefined) throw new UsageError(`--cost must be ${fault}`);
  return cost;
}

async function ask(askSecrets: NonNullable<Io['askSecrets']>): Promise<string> {
  // Twice, for nobody sees what she types.
  const [password = '', again] = await askSecrets(['Password: ', 'Again: ']);
  if (password !== again) throw new UsageError('the passwords are not the same');
  return password;
}

async function readOne({ stdin }: Io): Promise<string> {
  let password: string | undefined;
  for await (const { text } of readLines(stdin)) {
    if (password !== undefined) throw new UsageError('expected one line with a password, got more');
    password = text;
  }
  if (password === undefined) throw new UsageError('expected a password on standard input');
  if (password.includes('\u{fffd}')) throw new UsageError('a password must be UTF-8');
  return password;
}
