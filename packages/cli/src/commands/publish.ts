/** `trunkline publish`: one message from the command line, or one a line from standard input. */
import { Command, Option } from 'commander';
import { connect, JsonSource, longPoll } from '@trunkline/client';
import type { Line, Published, PublishOptions } from '@trunkline/client';
import { channelNameFault, eventFault, TTL_MAX } from '@trunkline/wire';
import { addClientFlags, clientTarget, mqttTarget } from '../client-flags.ts';
import { describeError } from '../describe-error.ts';
import type { Io } from '../io.ts';
import { readLines } from '../lines.ts';
import { parseMqttUrl } from '../mqtt/connection.ts';
import { MqttPublisher } from '../mqtt/publisher.ts';
import { Publishing } from '../publishing.ts';
import type { Publisher } from '../publishing.ts';
import { UsageError } from '../usage-error.ts';

/** Characters that wait for an answer: more than the longest line has as JSON. */
const WAITING_LENGTH_MAX = 64 * 1024 * 1024;

/** What MQTT has no word for. */
const NOT_IN_MQTT = ['event', 'slot'] as const;

interface PublishFlags {
  readonly transport: string;
  readonly json?: true;
  readonly event?: string;
  readonly key?: string;
  readonly retain?: true;
  readonly slot?: string;
  readonly ttl?: string;
}

/** Makes the command. */
export function createCommand(io: Io): Command {
  const command = new Command('publish')
    .argument('<channel>', 'like room/42')
    .argument('[data]', 'the message; without it, each line of standard input is one')
    .addOption(new Option('--transport <name>', 'http, mqtt').default('http'))
    .option('--json', 'the data is JSON, not text')
    .option('--event <name>', 'a name for the kind of message')
    .option('--retain', 'keep it as the retained message of the channel')
    .option('--slot <name>', 'volatile channels: of a slot a slow reader gets the newest alone')
    .option('--ttl <ms>', 'milliseconds after which it is not delivered any more')
    .option('--key <key>', 'idempotency key; from standard input, :LINE is added to it');
  addClientFlags(command).action(async (channel: string, data: string | undefined) => {
    const flags = command.opts<PublishFlags>();
    checkNames(channel, flags);
    if (data !== undefined && flags.json === true) checkJson(data);
    const open = flags.transport === 'mqtt' ? openMqtt : openLine;
    const publisher = await open(command, io);
    try {
      if (data === undefined) await publishLines(publisher, channel, flags, io);
      else {
        const options = publishOptions(flags, flags.key);
        io.stdout.write(toText(await publisher.publish(channel, payload(data, flags), options)));
      }
    } finally {
      publisher.close();
    }
  });
  return command;
}

/** What publishes over HTTP. */
function openLine(command: Command, io: Io): Line {
  const { url, ...target } = clientTarget(command, io);
  return connect(url, {
    ...target,
    // Nothing is read, so nothing is polled or kept open, and requests carry whole batches.
    transports: [longPoll],
    outbox: { sizeMax: WAITING_LENGTH_MAX },
    ...(io.fetch === undefined ? {} : { fetch: io.fetch }),
  });
}

/** The same over MQTT. */
function openMqtt(command: Command, io: Io): Promise<MqttPublisher> {
  const { url, token } = mqttTarget(command, io);
  return MqttPublisher.open(parseMqttUrl(url), token);
}

/** @throws when any line failed, after all were tried. */
async function publishLines(
  line: Publisher,
  channel: string,
  flags: PublishFlags,
  io: Io,
): Promise<void> {
  let failed = 0;
  const fail = (number: number, error: unknown) => {
    failed += 1;
    io.stderr.write(`trunkline: line ${number}: ${describeError(error)}\n`);
  };
  const publishing = new Publishing(line, channel, (item, result) => {
    if (result instanceof Error) fail(item.line, result);
    else io.stdout.write(toText(result));
  });
  for await (const { number, text } of readLines(io.stdin)) {
    if (flags.json === true && text.trim() === '') continue;
    try {
      if (flags.json === true) checkJson(text);
    } catch (error) {
      fail(number, error);
      continue;
    }
    const key = flags.key === undefined ? undefined : `${flags.key}:${number}`;
    const options = publishOptions(flags, key);
    const data = payload(text, flags);
    await publishing.add({ line: number, length: text.length, data, options });
    await io.stdout.drained();
  }
  await publishing.finish();
  if (failed > 0) throw new Error(`${failed} ${failed === 1 ? 'line' : 'lines'} failed`);
}

function payload(text: string, flags: PublishFlags): string | JsonSource {
  return flags.json === true ? new JsonSource(text) : text;
}

function publishOptions(flags: PublishFlags, key: string | undefined): PublishOptions {
  return {
    // A command says what failed, and ends.
    retry: false,
    ...(flags.json === true ? {} : { contentType: 'text/plain' }),
    ...(flags.event === undefined ? {} : { event: flags.event }),
    ...(key === undefined ? {} : { key }),
    ...(flags.retain === undefined ? {} : { retain: true }),
    ...(flags.slot === undefined ? {} : { slot: flags.slot }),
    ...(flags.ttl === undefined ? {} : { ttl: Number(flags.ttl) }),
  };
}

/** Where it stands; a volatile channel has no places, and MQTT tells none. */
function toText({ position, volatile }: Published): string {
  return `${position ?? (volatile === true ? 'volatile' : 'acknowledged')}\n`;
}

function checkNames(channel: string, flags: PublishFlags): void {
  const fault = channelNameFault(channel);
  if (fault !== undefined) throw new UsageError(`channel ${fault}, got ${channel}`);
  const wrong = flags.event === undefined ? undefined : eventFault(flags.event);
  if (wrong !== undefined) throw new UsageError(`--event ${wrong}`);
  if (flags.transport !== 'http' && flags.transport !== 'mqtt') {
    throw new UsageError(`--transport must be http or mqtt, got ${flags.transport}`);
  }
  const missing = NOT_IN_MQTT.find((name) => flags[name] !== undefined);
  if (flags.transport === 'mqtt' && missing !== undefined) {
    throw new UsageError(`MQTT has no --${missing}: publish over http`);
  }
  if (flags.key === '') throw new UsageError('--key must not be empty');
  const ttl = flags.ttl ?? '1';
  if (!/^[1-9][0-9]{0,11}$/.test(ttl) || Number(ttl) > TTL_MAX) {
    throw new UsageError(`--ttl must be 1 to ${TTL_MAX} milliseconds, got ${ttl}`);
  }
}

function checkJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    throw new UsageError(`not JSON: ${detail}`);
  }
}
