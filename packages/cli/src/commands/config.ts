/** `trunkline config`: what a server with these flags would run on. */
import { Command } from 'commander';
import { configLines, printConfig, resolveAccess } from '@trunkline/server';
import type { LoadedConfig } from '@trunkline/server';
import type { Io } from '../io.ts';
import { addSettingsFlags, loadConfig } from '../settings-flags.ts';

/** Makes the command. */
export function createCommand(io: Io): Command {
  const check = new Command('check').description('say what is wrong, or that nothing is');
  addSettingsFlags(check).action(async () => {
    const loaded = await loadConfig(check, io);
    warn(loaded, io);
    resolveAccess(loaded.config);
    const set = [...loaded.sources.values()].filter((source) => source !== 'default').length;
    io.stdout.write(`config is well: ${set} of ${loaded.sources.size} settings set\n`);
  });
  const print = new Command('print').description('print every setting and where it comes from');
  addSettingsFlags(print)
    .option('--json', 'one JSON object a line')
    .action(async () => {
      const loaded = await loadConfig(print, io);
      warn(loaded, io);
      const lines = configLines(loaded);
      const text =
        print.opts<{ json?: true }>().json === true
          ? lines.map((line) => `${JSON.stringify(line)}\n`).join('')
          : printConfig(lines);
      io.stdout.write(text);
    });
  return new Command('config').addCommand(check).addCommand(print);
}

function warn(loaded: LoadedConfig, io: Io): void {
  for (const warning of loaded.warnings) io.stderr.write(`trunkline: ${warning}\n`);
}
