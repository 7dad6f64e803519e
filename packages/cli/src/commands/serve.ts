/** `trunkline serve`: the server, from its flags to its orderly end. */
import { Command } from 'commander';
import { createServer, resolveAccess } from '@trunkline/server';
import type { ServerConfig, ServerParts, Started } from '@trunkline/server';
import { consoleAssets } from '@trunkline/console';
import type { Io } from '../io.ts';
import { addSettingsFlags, loadConfig } from '../settings-flags.ts';

/** What the command needs of a server. */
interface Server {
  start(): Promise<Started>;
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** Makes a server. */
export type CreateServer = (config: ServerConfig, parts: ServerParts) => Server;

/** Makes the command. */
export function createCommand(io: Io, create: CreateServer = createServer): Command {
  const command = new Command('serve');
  addSettingsFlags(command).action(async () => {
    const { config, warnings } = await loadConfig(command, io);
    for (const warning of warnings) io.stderr.write(`trunkline: ${warning}\n`);
    // Decided before anything is opened: a wrong start must leave nothing behind.
    const { development, relaxed } = resolveAccess(config);
    if (relaxed.length > 0) {
      const mode = development ? 'development mode' : 'insecure';
      io.stderr.write(`trunkline: ${mode}: ${relaxed.join('; ')}\n`);
    }
    await serve(create(config, { assets: consoleAssets() }), io);
  });
  return command;
}

/** Runs a server until it is asked to end. */
async function serve(server: Server, io: Io): Promise<void> {
  const stopped = new Promise<void>((resolve) => io.stops.onStop(resolve));
  const { urls, certificateSha256 } = await server.start().catch((error: unknown) => {
    throw withAdvice(error);
  });
  const certificate =
    certificateSha256 === undefined ? '' : `certificate sha256 ${certificateSha256}\n`;
  // At once: who waits for the first line finds the second with it.
  io.stdout.write(`ready ${urls.join(' ')}\n${certificate}`);
  await stopped;
  await server.drain();
  await server.close();
}

/** A port of MQTT that is taken says itself what to do. */
function withAdvice(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') return error;
  const advice = 'perhaps a server runs here already; --port takes another port, 0 any free one';
  return new Error(`${error.message}: ${advice}`, { cause: error });
}
