/** `trunkline token`: mints a token, for trying out and for scripts. */
import { Command } from 'commander';
import { grantsFromClaim, infoFault, mintToken, systemClock, userFault } from '@trunkline/server';
import type { Clock, TokenRequest } from '@trunkline/server';
import type { Io } from '../io.ts';
import { UsageError } from '../usage-error.ts';

/** A token without `--ttl` is good for an hour. */
const TTL_SECONDS = 3600;
/** Ten years: longer is a slip of the keyboard. */
const TTL_SECONDS_MAX = 315_360_000;

interface TokenOptions {
  readonly user: string;
  readonly info?: string;
  readonly channels?: string;
  readonly ttl: string;
  readonly jwtSecret?: string;
}

/** Makes the command. */
export function createCommand(io: Io, clock: Clock = systemClock): Command {
  const command = new Command('token')
    .requiredOption('--user <name>', 'whom the token names')
    .option('--info <json>', 'what presence shows of the user, like {"name":"Ann"}')
    .option('--channels <json>', 'what it grants, like {"room/+":["subscribe","publish"]}')
    .option('--ttl <seconds>', 'how long it is good for', String(TTL_SECONDS))
    .option('--jwt-secret <secret>', 'the server’s secret (env: TRUNKLINE_JWT_SECRET)');
  command.action(async () => {
    const options = command.opts<TokenOptions>();
    const secret = options.jwtSecret ?? io.env['TRUNKLINE_JWT_SECRET'] ?? '';
    if (secret === '') throw new UsageError('--jwt-secret or TRUNKLINE_JWT_SECRET is needed');
    const { token } = await mintToken(secret, requestOf(options), clock);
    io.stdout.write(`${token}\n`);
  });
  return command;
}

function requestOf({ user, info, channels, ttl }: TokenOptions): TokenRequest {
  const fault = userFault(user);
  if (fault !== undefined) throw new UsageError(`--user ${fault}`);
  const seconds = /^[0-9]{1,9}$/.test(ttl) ? Number(ttl) : 0;
  if (seconds < 1 || seconds > TTL_SECONDS_MAX) {
    throw new UsageError(`--ttl must be 1 to ${TTL_SECONDS_MAX} seconds, got ${ttl}`);
  }
  return {
    user,
    lifeMs: seconds * 1000,
    ...(info === undefined ? {} : { info: infoOf(info) }),
    ...(channels === undefined ? {} : { grants: grantsOf(channels) }),
  };
}

function infoOf(text: string): unknown {
  let info: unknown;
  try {
    info = JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--info: ${error instanceof Error ? error.message : String(error)}`);
  }
  const fault = infoFault(info);
  if (fault !== undefined) throw new UsageError(`--info ${fault}`);
  return info;
}

function grantsOf(channels: string): NonNullable<TokenRequest['grants']> {
  try {
    return grantsFromClaim(JSON.parse(channels));
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--channels: ${detail}`);
  }
}
