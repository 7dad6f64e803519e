/** The `trunkline` command: finds the subcommand, runs it, and turns what happened into a code. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import { describeError } from './describe-error.ts';
import type { Io } from './io.ts';
import { processIo } from './io.ts';
import { UsageError } from './usage-error.ts';

/** Well; failed; wrong usage or config. */
export type ExitCode = 0 | 1 | 2;

/** A subcommand's module: loaded only when it is called, so that the small ones start fast. */
interface CommandModule {
  /** @param io the process. */
  createCommand(io: Io): Command;
}

interface Entry {
  readonly summary: string;
  load(): Promise<CommandModule>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: { summary: 'run the server', load: () => import('./commands/serve.ts') },
  publish: { summary: 'publish to a channel', load: () => import('./commands/publish.ts') },
  subscribe: {
    summary: 'print the messages of a channel',
    load: () => import('./commands/subscribe.ts'),
  },
  token: { summary: 'mint a token for a user', load: () => import('./commands/token.ts') },
  password: {
    summary: 'make the hash of a password',
    load: () => import('./commands/password.ts'),
  },
  config: {
    summary: 'check or print the configuration',
    load: () => import('./commands/config.ts'),
  },
};

/** Commands with a place in the contract that this version does not have. */
const LATER = ['doctor', 'bench'];

/**
 * Runs the command.
 *
 * @param args without the program itself.
 * @returns the exit code; never rejects.
 */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    // `trunkline help serve` is `trunkline serve --help`.
    const program = await createProgram(args[0] === 'help' ? args[1] : args[0], io);
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, io);
  }
}

async function createProgram(name: string | undefined, io: Io): Promise<Command> {
  if (name !== undefined && LATER.includes(name)) {
    throw new UsageError(`trunkline ${name} is not available yet`);
  }
  const program = new Command('trunkline').description('One channel, every protocol.');
  for (const [known, entry] of Object.entries(COMMANDS)) {
    const command = known === name ? (await entry.load()).createCommand(io) : new Command(known);
    program.addCommand(command.description(entry.summary));
  }
  configure(program, io);
  return program;
}

/** Makes commander throw instead of ending the process, in every command. */
function configure(command: Command, io: Io): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => io.stdout.write(text),
    writeErr: (text) => io.stderr.write(text),
    // One line, with the hint that commander puts below.
    outputError: (text, write) =>
      write(
        `${text
          .replace(/^error: /, 'trunkline: ')
          .trimEnd()
          .replaceAll('\n', ' ')}\n`,
      ),
  });
  for (const sub of command.commands) configure(sub, io);
}

function report(error: unknown, io: Io): ExitCode {
  if (error instanceof CommanderError) {
    // Commander has said what is wrong; help that was asked for is no failure.
    return error.exitCode === 0 ? 0 : 2;
  }
  for (const line of describeError(error).split('\n')) io.stderr.write(`trunkline: ${line}\n`);
  // By name: the class lives in the server's package, which most commands never load.
  const isConfig = error instanceof Error && error.name === 'ConfigError';
  return error instanceof UsageError || isConfig ? 2 : 1;
}

/** True when this file is the program and not imported. */
function isProgram(): boolean {
  const script = process.argv[1];
  return script !== undefined && realpathSync(script) === fileURLToPath(import.meta.url);
}

if (isProgram()) {
  // Set, not called: what was written to a pipe must leave first.
  process.exitCode = await run(process.argv.slice(2), processIo());
}
