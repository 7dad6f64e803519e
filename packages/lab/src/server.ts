/** A server in this process, on a free port, with what it logs kept for the test. */
import { createServer, resolveConfig } from '@trunkline/server';
import type { ServerConfigInput, ServerParts, TrunklineServer } from '@trunkline/server';
import { ask, post } from './http.ts';
import type { Answered } from './http.ts';

/** One line of a server's log. */
export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Where a message was stored. */
export interface Stored {
  readonly channel: string;
  readonly offset: number;
  readonly epoch: string;
  readonly position: string;
}

/** A server that listens. */
export class LabServer implements AsyncDisposable {
  /** `http://127.0.0.1:…`, without a slash at its end. */
  readonly url: string;
  readonly port: number;
  readonly server: TrunklineServer;
  /** All addresses, with `mqtt://…` and `mqtts://…` where the configuration asks for them. */
  readonly urls: readonly string[];
  readonly logged: readonly LogLine[];

  constructor(server: TrunklineServer, urls: readonly string[], logged: readonly LogLine[]) {
    const [url = ''] = urls;
    this.server = server;
    this.urls = urls;
    this.url = url;
    this.port = Number(new URL(url).port);
    this.logged = logged;
  }

  /** Lines that say that something inside broke, which nothing from outside should bring about. */
  get faults(): readonly LogLine[] {
    return this.logged.filter(({ level }) => level === 'error');
  }

  /** Publishes JSON values in the order given. @throws when one is refused. */
  async publish(channel: string, ...values: readonly unknown[]): Promise<readonly Stored[]> {
    return this.publishAll(values.map((data) => ({ channel, data })));
  }

  /** Publishes elements of a batch in the order given. @throws when one is refused. */
  async publishAll(elements: readonly object[]): Promise<readonly Stored[]> {
    const answer = await post(`${this.url}/v1/publish`, elements);
    const stored = answer.json<readonly Stored[]>();
    if (answer.status !== 200 || !stored.every(({ offset }) => offset > 0)) {
      throw new Error(`expected all to be stored, got ${answer.status} ${answer.text}`);
    }
    return stored;
  }

  /** `GET` of a path with its query. */
  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
    return ask(`${this.url}${path}`, { headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
  }
}

/**
 * Starts a server that keeps everything in memory and has no port for MQTT, unless `config` says
 * otherwise.
 */
export async function startServer(
  config: ServerConfigInput = {},
  parts: Omit<ServerParts, 'log'> = {},
): Promise<LabServer> {
  const logged: LogLine[] = [];
  // Tests run beside each other, and beside whatever has the usual port for MQTT.
  const mqtt = { port: 0, ...config.mqtt };
  const value = { port: 0, store: { memory: true }, ...config, mqtt };
  const resolved = resolveConfig({ file: { path: 'the test', value } }).config;
  const server = createServer(resolved, { ...parts, log: keepIn(logged) });
  const { urls } = await server.start();
  return new LabServer(server, urls, logged);
}

function keepIn(logged: LogLine[]): NonNullable<ServerParts['log']> {
  const keep =
    (level: LogLine['level']) =>
    (fields: LogLine['fields'], message: string): void => {
      logged.push({ level, message, fields });
    };
  return { debug: keep('debug'), info: keep('info'), warn: keep('warn'), error: keep('error') };
}
