/** Io: what a command takes from the process it runs in. Tests bring their own. */
import { askSecrets } from './secrets.ts';
import { Stops } from './stops.ts';

/** Where text goes. */
export interface Output {
  write(text: string): void;
  /** Resolves when what was written has left, so that a slow reader slows the command. */
  drained(): Promise<void>;
}

export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: AsyncIterable<Uint8Array>;
  /** Asks a person for lines that are not shown; absent where standard input is no terminal. */
  readonly askSecrets?: (prompts: readonly string[]) => Promise<readonly string[]>;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** True when a person reads: colour and words instead of bare data. */
  readonly colour: boolean;
  /** Asked to end by a signal. */
  readonly stops: Stops;
  /** Instead of the globals, for commands that are clients. */
  readonly fetch?: typeof fetch;
}

/** The process itself. */
export function processIo(): Io {
  // Whoever read our output has gone, as `head` does: there is nobody left to tell of it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(1);
  });
  const { stdin } = process;
  const stderr = outputOf(process.stderr);
  return {
    stdout: outputOf(process.stdout),
    stderr,
    stdin,
    ...(stdin.isTTY ? { askSecrets: (prompts) => askSecrets(stdin, stderr, prompts) } : {}),
    env: process.env,
    colour: process.stdout.isTTY && process.env['NO_COLOR'] === undefined,
    stops: Stops.ofProcess(),
  };
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    drained: () =>
      stream.writableNeedDrain
        ? new Promise((resolve) => {
            stream.once('drain', resolve);
            stream.once('close', resolve);
          })
        : Promise.resolve(),
  };
}
