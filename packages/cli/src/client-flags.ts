/** Client flags: which server a command talks to, and as whom. */
import type { Command } from 'commander';
import type { Io } from './io.ts';

const URL_DEFAULT = 'http://127.0.0.1:8080';
const MQTT_URL_DEFAULT = 'mqtt://127.0.0.1:1883';

/** Where the server is. */
export interface ClientTarget {
  readonly url: string;
  readonly token?: string;
}

/** Adds `--url` and `--token`. */
export function addClientFlags(command: Command): Command {
  return command
    .option(
      '--url <url>',
      `the server (env: TRUNKLINE_URL, default: ${URL_DEFAULT}; ` +
        `for mqtt: TRUNKLINE_MQTT_URL, ${MQTT_URL_DEFAULT})`,
    )
    .option('--token <token>', 'a token or API key (env: TRUNKLINE_TOKEN)');
}

/** The same for MQTT, which has a port and a variable of its own. */
export function mqttTarget(command: Command, io: Io): ClientTarget {
  const { token } = clientTarget(command, io);
  const { url } = command.opts<{ url?: string }>();
  return {
    url: url ?? (io.env['TRUNKLINE_MQTT_URL'] || MQTT_URL_DEFAULT),
    ...(token === undefined ? {} : { token }),
  };
}

/** Reads them; flags win over the environment, where an empty variable counts as unset. */
export function clientTarget(command: Command, io: Io): ClientTarget {
  const given = command.opts<{ url?: string; token?: string }>();
  const token = given.token ?? (io.env['TRUNKLINE_TOKEN'] || undefined);
  return {
    url: given.url ?? (io.env['TRUNKLINE_URL'] || URL_DEFAULT),
    ...(token === undefined ? {} : { token }),
  };
}
