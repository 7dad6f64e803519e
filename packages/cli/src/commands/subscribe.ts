/** `trunkline subscribe`: prints channels until it is asked to end, and says how to go on. */
import { Command, Option } from 'commander';
import { Progress, subscribe } from '@trunkline/client/single';
import type { SubscribeOptions, TransportName } from '@trunkline/client/single';
import { channelNameFault, isWildcard, patternFault } from '@trunkline/wire';
import { addClientFlags, clientTarget } from '../client-flags.ts';
import { EventPrinter } from '../event-printer.ts';
import type { Io } from '../io.ts';
import { UsageError } from '../usage-error.ts';

/** Transports with a place in the contract that this version does not have. */
const LATER = ['wt', 'mqtt'];
const TRANSPORTS = ['ws', 'sse', 'poll'];

interface SubscribeFlags {
  readonly transport: string;
  readonly wait?: string;
  readonly after?: string;
  readonly last?: string;
  readonly partial?: true;
  readonly presence?: true;
  readonly snapshot?: true;
  readonly json?: true;
}

/** Makes the command. */
export function createCommand(io: Io): Command {
  const command = new Command('subscribe')
    .argument('<channels...>', 'like room/42, and patterns like room/+ or room/#')
    .addOption(new Option('--transport <name>', TRANSPORTS.join(', ')).default('ws'))
    .option('--wait <seconds>', 'for poll: how long one question waits, 0 to 60 (default: 25)')
    .option('--after <place>', 'go on after a position or mark, or start for all that is kept')
    .option('--last <count>', 'begin with so many of the newest messages')
    .option('--partial', 'deliver what is left of a trimmed range')
    .option('--presence', 'be listed, and be told who is there, comes and goes')
    .option('--snapshot', 'begin at the snapshot where the log can not bring the channel up')
    .option('--json', 'one JSON object a line');
  addClientFlags(command).action(async (channels: string[]) => {
    const flags = command.opts<SubscribeFlags>();
    const aborter = new AbortController();
    io.stops.onStop(() => aborter.abort());
    const options: SubscribeOptions = {
      ...clientTarget(command, io),
      channel: channels.map(checkedChannel),
      ...subscribeOptions(flags),
      signal: aborter.signal,
      ...(io.fetch === undefined ? {} : { fetch: io.fetch }),
    };
    const many = channels.length > 1 || channels.some(isWildcard);
    await print(options, new EventPrinter(io, flags.json === true, many), io);
  });
  return command;
}

async function print(options: SubscribeOptions, printer: EventPrinter, io: Io): Promise<void> {
  // What was printed counts, not what was received: nothing unread may be skipped.
  const progress = new Progress([options.channel].flat());
  try {
    for await (const event of subscribe(options)) {
      printer.print(event);
      progress.follow(event);
      await io.stdout.drained();
      if (options.signal?.aborted === true) break;
    }
  } finally {
    const place = progress.position ?? options.after;
    if (place !== undefined) {
      io.stderr.write(`trunkline: at ${place}; go on with --after ${quoted(place)}\n`);
    }
  }
}

/** As a shell takes it; places of several channels have ampersands. */
function quoted(place: string): string {
  return place.includes('&') ? `'${place}'` : place;
}

function subscribeOptions(flags: SubscribeFlags) {
  const { after, partial, presence, snapshot } = flags;
  const transport = transportOf(flags.transport);
  const last = flags.last === undefined ? undefined : count('--last', flags.last, 1_000_000);
  if (after !== undefined && last !== undefined) {
    throw new UsageError('give --after or --last, not both');
  }
  if (flags.wait !== undefined && transport !== 'poll') {
    throw new UsageError('--wait goes with --transport poll only');
  }
  return {
    transport,
    ...(after === undefined ? {} : { after }),
    ...(last === undefined ? {} : { last }),
    ...(partial === undefined ? {} : { partial }),
    ...(presence === undefined ? {} : { presence }),
    ...(snapshot === undefined ? {} : { snapshot }),
    ...(flags.wait === undefined ? {} : { waitSeconds: count('--wait', flags.wait, 60) }),
  };
}

function transportOf(name: string): TransportName {
  if (LATER.includes(name)) throw new UsageError(`--transport ${name} is not available yet`);
  if (name === 'ws' || name === 'sse' || name === 'poll') return name;
  throw new UsageError(`--transport must be one of ${TRANSPORTS.join(', ')}, got ${name}`);
}

function checkedChannel(channel: string): string {
  const fault = isWildcard(channel) ? patternFault(channel) : channelNameFault(channel);
  if (fault !== undefined) throw new UsageError(`channel ${fault}, got ${channel}`);
  return channel;
}

function count(flag: string, text: string, max: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) throw new UsageError(`${flag} must be 0 to ${max}, got ${text}`);
  return value;
}
