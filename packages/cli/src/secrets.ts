/** Secrets: lines that a person types and nobody sees. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Output } from './io.ts';
import { UsageError } from './usage-error.ts';

/**
 * Asks for one line after the other on a terminal, without an echo.
 *
 * @param output where the prompts go: not where the result does.
 * @throws {UsageError} when the person gives up, by Ctrl-C or Ctrl-D.
 */
export function askSecrets(
  input: NodeJS.ReadableStream,
  output: Pick<Output, 'write'>,
  prompts: readonly string[],
): Promise<readonly string[]> {
  const given: string[] = [];
  // It edits the line, and shows what it does to whoever does not look.
  const unseen = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input, output: unseen, terminal: true, historySize: 0 });
  const ask = (): void => output.write(prompts[given.length] ?? '');
  return new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      // Lines that were pasted in one piece come even after the end.
      if (given.length === prompts.length) return;
      given.push(line);
      output.write('\n');
      if (given.length < prompts.length) ask();
      else lines.close();
    });
    lines.once('SIGINT', () => lines.close());
    lines.once('close', () => {
      if (given.length === prompts.length) {
        resolve(given);
        return;
      }
      output.write('\n');
      reject(new UsageError('nothing was given'));
    });
    ask();
  });
}
