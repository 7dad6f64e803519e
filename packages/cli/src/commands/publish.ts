/** `trunkline publish`: one message from the command line, or one a line from standard input. */
import { Command } from 'commander';
import { publish } from '@trunkline/client/single';
import type { Outgoing, Published, PublishOptions } from '@trunkline/client/single';
import { channelNameFault, eventFault, TTL_MAX } from '@trunkline/wire';
import { addClientFlags, clientTarget } from '../client-flags.ts';
import { describeError } from '../describe-error.ts';
import type { Io } from '../io.ts';
import { readLines } from '../lines.ts';
import { Publishing } from '../publishing.ts';
import { UsageError } from '../usage-error.ts';

interface PublishFlags {
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
    .option('--json', 'the data is JSON, not text')
    .option('--event <name>', 'a name for the kind of message')
    .option('--retain', 'keep it as the retained message of the channel')
    .option('--slot <name>', 'volatile channels: of a slot a slow reader gets the newest alone')
    .option('--ttl <ms>', 'milliseconds after which it is not delivered any more')
    .option('--key <key>', 'idempotency key; from standard input, :LINE is added to it');
  addClientFlags(command).action(async (channel: string, data: string | undefined) => {
    const flags = command.opts<PublishFlags>();
    checkNames(channel, flags);
    const options = {
      ...clientTarget(command, io),
      ...(io.fetch === undefined ? {} : { fetch: io.fetch }),
    };
    if (data === undefined) {
      await publishLines(options, channel, flags, io);
      return;
    }
    if (flags.json === true) checkJson(data);
    const published = await publish(options, channel, outgoing(data, flags, flags.key));
    io.stdout.write(toText(published));
  });
  return command;
}

/** @throws when any line failed, after all were tried. */
async function publishLines(
  options: PublishOptions,
  channel: string,
  flags: PublishFlags,
  io: Io,
): Promise<void> {
  let failed = 0;
  const fail = (line: number, error: unknown) => {
    failed += 1;
    io.stderr.write(`trunkline: line ${line}: ${describeError(error)}\n`);
  };
  const publishing = new Publishing(options, channel, ({ line }, result) => {
    if (result instanceof Error) fail(line, result);
    else io.stdout.write(toText(result));
  });
  for await (const { number: line, text } of readLines(io.stdin)) {
    if (flags.json === true && text.trim() === '') continue;
    try {
      if (flags.json === true) checkJson(text);
    } catch (error) {
      fail(line, error);
      continue;
    }
    const key = flags.key === undefined ? undefined : `${flags.key}:${line}`;
    await publishing.add({ line, length: text.length, message: outgoing(text, flags, key) });
    await io.stdout.drained();
  }
  await publishing.finish();
  if (failed > 0) throw new Error(`${failed} ${failed === 1 ? 'line' : 'lines'} failed`);
}

function outgoing(text: string, flags: PublishFlags, key: string | undefined): Outgoing {
  return {
    ...(flags.json === true ? { source: text } : { data: text, contentType: 'text/plain' }),
    ...(flags.event === undefined ? {} : { event: flags.event }),
    ...(key === undefined ? {} : { key }),
    ...(flags.retain === undefined ? {} : { retain: true }),
    ...(flags.slot === undefined ? {} : { slot: flags.slot }),
    ...(flags.ttl === undefined ? {} : { ttl: Number(flags.ttl) }),
  };
}

/** Where it stands; a volatile channel has no places. */
function toText(published: Published): string {
  return `${published.position ?? 'volatile'}\n`;
}

function checkNames(channel: string, flags: PublishFlags): void {
  const fault = channelNameFault(channel);
  if (fault !== undefined) throw new UsageError(`channel ${fault}, got ${channel}`);
  const wrong = flags.event === undefined ? undefined : eventFault(flags.event);
  if (wrong !== undefined) throw new UsageError(`--event ${wrong}`);
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
