/** `trunkline subscribe`: prints channels until it is asked to end, and says how to go on. */
import { Command, Option } from 'commander';
import { connect, longPollFor, shortPollEvery, sse, websocket } from '@trunkline/client';
import type { Transport } from '@trunkline/client';
import { exactJson } from '@trunkline/client/exact';
import { channelNameFault, isWildcard, patternFault } from '@trunkline/wire';
import { addClientFlags, clientTarget, mqttTarget } from '../client-flags.ts';
import { EventPrinter } from '../event-printer.ts';
import type { Io } from '../io.ts';
import { parseMqttUrl } from '../mqtt/connection.ts';
import { MqttSubscriber } from '../mqtt/subscriber.ts';
import { Printing } from '../printing.ts';
import { Progress } from '../progress.ts';
import { UsageError } from '../usage-error.ts';

/** How long a poll waits when nothing else is said, in seconds. */
const WAIT_SECONDS = 25;
/** From an answer to the next question, for polls that do not wait. */
const POLL_INTERVAL_MS = 1000;

/** Transports with a place in the contract that this version does not have. */
const LATER = ['wt'];
const TRANSPORTS = ['ws', 'sse', 'poll', 'mqtt'];
/** What MQTT has no word for. */
const NOT_IN_MQTT = ['after', 'last', 'partial', 'presence', 'snapshot', 'wait'] as const;

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
    const filters = [...new Set(channels.map(checkedChannel))];
    const many = channels.length > 1 || channels.some(isWildcard);
    const printer = new EventPrinter(io, flags.json === true, many);
    const progress = new Progress(filters, flags.after);
    const parts = { filters, printer, progress, io };
    const run =
      flags.transport === 'mqtt'
        ? overMqtt(command, flags, parts)
        : overLine(command, flags, parts);
    try {
      await run();
    } finally {
      const place = progress.position;
      if (place !== undefined) {
        io.stderr.write(`trunkline: at ${place}; go on with --after ${quoted(place)}\n`);
      }
    }
  });
  return command;
}

/** What every way of reading needs. */
interface ReadingParts {
  readonly filters: readonly string[];
  readonly printer: EventPrinter;
  readonly progress: Progress;
  readonly io: Io;
}

/** @returns what reads. @throws {UsageError} before anything is tried. */
function overLine(command: Command, flags: SubscribeFlags, parts: ReadingParts) {
  const { filters, printer, progress, io } = parts;
  const { transport, after: _, ...reading } = subscribeOptions(flags);
  const { url, ...target } = clientTarget(command, io);
  return (): Promise<void> => {
    const line = connect(url, {
      ...target,
      encoding: exactJson,
      transports: [transport],
      ...(io.fetch === undefined ? {} : { fetch: io.fetch }),
    });
    return new Printing(line, printer, progress, io).run(filters, reading);
  };
}

/** The same over MQTT. */
function overMqtt(command: Command, flags: SubscribeFlags, parts: ReadingParts) {
  const wrong = NOT_IN_MQTT.find((name) => flags[name] !== undefined);
  if (wrong !== undefined) {
    throw new UsageError(`MQTT has no --${wrong}: it reads from now on, see the other transports`);
  }
  const { url, token } = mqttTarget(command, parts.io);
  const address = parseMqttUrl(url);
  return (): Promise<void> => new MqttSubscriber({ ...parts, address, token }).run();
}

/** As a shell takes it; places of several channels have ampersands. */
function quoted(place: string): string {
  return place.includes('&') ? `'${place}'` : place;
}

function subscribeOptions(flags: SubscribeFlags) {
  const { after, partial, presence, snapshot } = flags;
  const transport = transportOf(flags);
  const last = flags.last === undefined ? undefined : count('--last', flags.last, 1_000_000);
  if (after !== undefined && last !== undefined) {
    throw new UsageError('give --after or --last, not both');
  }
  return {
    transport,
    ...(after === undefined ? {} : { after }),
    ...(last === undefined ? {} : { last }),
    ...(partial === undefined ? {} : { partial }),
    ...(presence === undefined ? {} : { presence }),
    ...(snapshot === undefined ? {} : { snapshot }),
  };
}

function transportOf({ transport: name, wait }: SubscribeFlags): Transport {
  if (LATER.includes(name)) throw new UsageError(`--transport ${name} is not available yet`);
  if (!TRANSPORTS.includes(name)) {
    throw new UsageError(`--transport must be one of ${TRANSPORTS.join(', ')}, got ${name}`);
  }
  if (name === 'poll') {
    const waitSeconds = wait === undefined ? WAIT_SECONDS : count('--wait', wait, 60);
    return waitSeconds === 0 ? shortPollEvery(POLL_INTERVAL_MS) : longPollFor(waitSeconds);
  }
  if (wait !== undefined) throw new UsageError('--wait goes with --transport poll only');
  return name === 'sse' ? sse : websocket;
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
