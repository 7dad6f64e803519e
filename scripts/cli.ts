/** CLI: writes `docs/reference/cli.md` from the commands. With `--check` it only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCommand as createConfig } from '../packages/cli/src/commands/config.ts';
import { createCommand as createPassword } from '../packages/cli/src/commands/password.ts';
import { createCommand as createPublish } from '../packages/cli/src/commands/publish.ts';
import { createCommand as createServe } from '../packages/cli/src/commands/serve.ts';
import { createCommand as createSubscribe } from '../packages/cli/src/commands/subscribe.ts';
import { createCommand as createToken } from '../packages/cli/src/commands/token.ts';
import type { Io, Output } from '../packages/cli/src/io.ts';
import { Stops } from '../packages/cli/src/stops.ts';
import { report, ROOT } from './source.ts';

/** Where the page stands. */
export const CLI_PAGE = 'docs/reference/cli.md';

type Command = ReturnType<typeof createServe>;

/** What each command is for, and what its flags do not say. */
const COMMANDS: readonly (readonly [create: (io: Io) => Command, about: string])[] = [
  [
    createServe,
    'Runs the server. Once it takes clients it prints `ready` and its address, and with `--tls-dev` the ' +
      'SHA-256 of its certificate. SIGTERM or SIGINT drains it, a second one ends it at once. All other ' +
      'settings stand in a file or the environment: [configuration](config.md).',
  ],
  [
    createPublish,
    'Publishes one message, or one for each line of standard input, and prints their positions: ' +
      '`volatile` where the channel keeps none. Without `--json` the data is text. Over MQTT, with QoS 1, it ' +
      'prints `acknowledged`: the message is in the log, and MQTT does not say where.',
  ],
  [
    createSubscribe,
    'Prints messages until it is asked to end, then says on standard error how to go on. What happens to ' +
      'the connection goes to standard error; with `--json` it is one more object on standard output. ' +
      'Over MQTT it reads from now on in one session with QoS 1, over lost connections; another transport ' +
      'goes on where it ended.',
  ],
  [createToken, 'Prints a token for a user, signed with the secret of the server.'],
  [
    createPassword,
    'Prints the hash of a password for `auth.users`. It reads one line of standard input; on a terminal it ' +
      'asks twice and shows nothing of what is typed. See [devices](../guide/devices.md).',
  ],
];

/** The page as it must be. */
export function cliPage(): string {
  const sections = COMMANDS.map(([create, about]) => section(create(SILENT), about));
  return [INTRODUCTION, ...sections, configSection()].join('\n\n');
}

const INTRODUCTION = `# The command line

Generated from \`packages/cli/src/commands\` by \`scripts/cli.ts\`; a test compares.

\`npx trunkline COMMAND\`, or \`npm start -- FLAGS\` for \`serve\`. The exit code is 0 when all was well, 1
when something failed, and 2 for a wrong flag or setting. \`--url\` and \`--token\` may stand in
\`TRUNKLINE_URL\` and \`TRUNKLINE_TOKEN\`; where MQTT is in \`TRUNKLINE_MQTT_URL\`.`;

function section(command: Command, about: string): string {
  const words = command.registeredArguments.map((argument) => {
    const word = `${argument.name().toUpperCase()}${argument.variadic ? ' …' : ''}`;
    return argument.required ? word : `[${word}]`;
  });
  const usage = ['trunkline', command.name(), ...words].join(' ');
  const rows = command.options
    .filter(({ hidden }) => !hidden)
    .map(({ flags, description, defaultValue }) => {
      const value: unknown = defaultValue;
      const fallback = typeof value === 'string' ? ` (default: ${value})` : '';
      return `| \`${flags}\` | ${description.replaceAll('|', '\\|')}${fallback} |`;
    });
  return `## \`${usage}\`\n\n${about}\n\n| flag | meaning |\n|---|---|\n${rows.join('\n')}`;
}

function configSection(): string {
  const names = createConfig(SILENT).commands.map((command) => {
    return `- \`trunkline config ${command.name()}\`: ${command.description()}`;
  });
  return `## \`trunkline config\`

${names.join('\n')}

Both take the flags of \`serve\`; \`print\` takes \`--json\` as well.
`;
}

const NOWHERE: Output = { write: () => {}, drained: () => Promise.resolve() };

/** Commands are made here, and never run. */
const SILENT: Io = {
  stdout: NOWHERE,
  stderr: NOWHERE,
  stdin: new ReadableStream<Uint8Array>(),
  env: {},
  colour: false,
  stops: new Stops(
    () => 0,
    () => {},
  ),
};

if (import.meta.main) {
  const path = join(ROOT, CLI_PAGE);
  if (process.argv.includes('--check')) {
    const same = readFileSync(path, 'utf8') === cliPage();
    const fault = `${CLI_PAGE} is not what the commands say: run node scripts/cli.ts`;
    report('cli', same ? [] : [fault]);
  } else {
    writeFileSync(path, cliPage());
  }
}
