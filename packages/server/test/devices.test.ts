import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer as createNetServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { serverConfigSchema } from '../src/config/schema.ts';
import type { ServerConfigInput } from '../src/config/schema.ts';
import { silentLog } from '../src/observe/log.ts';
import type { Log } from '../src/observe/log.ts';
import { PacketDecoder } from '../src/protocols/mqtt/codec/decoder.ts';
import { encode } from '../src/protocols/mqtt/codec/encode.ts';
import type { Connect, Packet, PacketKind, Version } from '../src/protocols/mqtt/codec/packets.ts';
import { createServer } from '../src/server.ts';
import type { TrunklineServer } from '../src/server.ts';
import { Authority } from './tls/authority.ts';

const authority = new Authority();

const opened: { close(): Promise<void> | void }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

function create(input: ServerConfigInput, log: Log = silentLog): TrunklineServer {
  const config = serverConfigSchema.parse({
    port: 0,
    store: { memory: true },
    drain: { windowMs: 50, deadlineMs: 5_000 },
    ...input,
    mqtt: { port: 'auto', ...input.mqtt },
  });
  const server = createServer(config, { log });
  opened.push(server);
  return server;
}

async function start(input: ServerConfigInput = {}, log?: Log) {
  const server = create(input, log);
  const { urls } = await server.start();
  const [url = '', ...others] = urls;
  const portOf = (scheme: string): number =>
    Number(
      others
        .find((one) => one.startsWith(`${scheme}:`))
        ?.split(':')
        .at(-1),
    );
  return { server, url, urls, port: portOf('mqtt'), tlsPort: portOf('mqtts') };
}

const CONNECT: Connect = {
  kind: 'connect',
  version: 5,
  clientId: 'lamp',
  cleanStart: true,
  keepAlive: 0,
  properties: {},
};

/** A client that sends packets and keeps those that come. */
class Device {
  readonly socket: Pick<Socket, 'write' | 'destroy' | 'on'>;
  readonly packets: Packet[] = [];
  closed = false;
  readonly #version: Version;
  #wake: () => void = () => {};

  constructor(socket: Pick<Socket, 'write' | 'destroy' | 'on'>, version: Version = 5) {
    const decoder = new PacketDecoder({ packetSizeMax: 2 ** 20, from: 'server', version });
    this.socket = socket;
    this.#version = version;
    socket.on('data', (bytes: Buffer) => {
      this.packets.push(...decoder.push(bytes));
      this.#wake();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
      this.#wake();
    });
    opened.push({ close: () => void socket.destroy() });
  }

  static tcp(port: number, version: Version = 5): Device {
    return new Device(connect(port, '127.0.0.1'), version);
  }

  send(packet: Packet): void {
    this.socket.write(encode(packet, this.#version));
  }

  async connect(more: Partial<Connect> = {}): Promise<Packet | undefined> {
    this.send({ ...CONNECT, version: this.#version, ...more });
    return this.until('connack');
  }

  async subscribe(filter: string): Promise<void> {
    const options = {
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
    } as const;
    this.send({
      kind: 'subscribe',
      packetId: 1,
      subscriptions: [{ filter, ...options }],
      properties: {},
    });
    await this.until('suback');
  }

  /** The first packet of this kind; `undefined` when the connection ends before it comes. */
  async until(kind: PacketKind): Promise<Packet | undefined> {
    for (;;) {
      const found = this.packets.find((packet) => packet.kind === kind);
      if (found !== undefined || this.closed) return found;
      await this.#news();
    }
  }

  /** The next one of this kind that was not looked at. */
  async next(kind: PacketKind): Promise<Packet | undefined> {
    const packet = await this.until(kind);
    if (packet !== undefined) this.packets.splice(this.packets.indexOf(packet), 1);
    return packet;
  }

  async ended(): Promise<void> {
    while (!this.closed) await this.#news();
  }

  #news(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

async function publish(url: string, channel: string, data: unknown): Promise<void> {
  const body = JSON.stringify({ channel, data });
  expect((await fetch(`${url}/v1/publish`, { method: 'POST', body })).status).toBe(200);
}

describe('the ports of MQTT', () => {
  test('are told beside the others, and serve what the others serve', async () => {
    const { url, urls, port } = await start();
    expect(urls).toEqual([url, `mqtt://127.0.0.1:${port}`]);
    const device = Device.tcp(port);
    expect(await device.connect()).toMatchObject({ kind: 'connack', reason: 0 });
    await device.subscribe('lamps/+');
    await publish(url, 'lamps/1', { on: true });
    expect(await device.until('publish')).toMatchObject({
      topic: 'lamps/1',
      payload: Buffer.from('{"on":true}'),
    });
  });

  test('may be none', async () => {
    const { urls } = await start({ mqtt: { port: 0 } });
    expect(urls).toHaveLength(1);
  });

  test('that are taken are told with what to do about it', async () => {
    const other = createNetServer();
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    opened.push({ close: () => void other.close() });
    const { port } = other.address() as AddressInfo;
    const server = create({ mqtt: { port } });
    await expect(server.start()).rejects.toThrow(
      new RegExp(`EADDRINUSE.*127.0.0.1:${port}: perhaps another MQTT broker.*--mqtt-port takes`),
    );
    await server.close();
  });

  test('with TLS show the certificate of the server [DEV-3]', async () => {
    const { urls, tlsPort } = await start({ tls: { dev: true }, mqtt: { tlsPort: 'auto' } });
    expect(urls.at(-1)).toBe(`mqtts://127.0.0.1:${tlsPort}`);
    const options = { port: tlsPort, host: '127.0.0.1', rejectUnauthorized: false };
    const device = new Device(connectTls({ ...options, ALPNProtocols: ['mqtt'] }));
    expect(await device.connect()).toMatchObject({ reason: 0 });
  });

  test('without TLS are warned of where the rest has it and others can reach them', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (_: object, text: string) => void warnings.push(text) };
    const tls = { dev: true };
    await start({ host: '0.0.0.0', auth: { apiKeys: ['key'] }, tls }, log);
    expect(warnings).toEqual([expect.stringContaining('without TLS')]);
    await start({ tls }, log);
    expect(warnings).toHaveLength(1);
  });

  test('count with HTTP in one limit, and in the metrics', async () => {
    const { url, port } = await start({ connectionsMax: 3 });
    const devices = [Device.tcp(port), Device.tcp(port)];
    for (const [index, device] of devices.entries()) {
      await device.connect({ clientId: `lamp-${index}` });
    }
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('trunkline_links{transport="tcp",http=""} 2');
    expect(metrics).toContain('trunkline_mqtt_connections 2');
    expect(metrics).toContain('trunkline_connections 3');
    const refused = Device.tcp(port);
    await refused.ended();
    expect(refused.packets).toEqual([]);
  });
});

describe('the end of a server', () => {
  test('is told to a device in the words of its version [DEV-8]', async () => {
    const { server, port } = await start();
    const silent = connect(port, '127.0.0.1');
    await once(silent, 'connect');
    const [mute, newer, older] = [
      new Device(silent),
      Device.tcp(port),
      Device.tcp(port, 4),
    ] as const;
    await newer.connect();
    await older.connect({ clientId: 'old-lamp' });
    await server.drain();
    await Promise.all([newer.ended(), older.ended(), mute.ended()]);
    expect(newer.packets.at(-1)).toMatchObject({ kind: 'disconnect', reason: 0x8b });
    expect(older.packets.map(({ kind }) => kind)).toEqual(['connack']);
    expect(mute.packets).toEqual([]);
  });

  test.each(['drain', 'close'] as const)('by %s keeps the sessions that are kept', async (how) => {
    const directory = mkdtempSync(join(tmpdir(), 'trunkline-devices-'));
    opened.push({ close: () => rmSync(directory, { recursive: true, force: true }) });
    const kept = { cleanStart: false, properties: { sessionExpiryInterval: 3600 } };
    const first = await start({ store: { directory } });
    const before = Device.tcp(first.port);
    expect(await before.connect(kept)).toMatchObject({ sessionPresent: false });
    await before.subscribe('lamps/+');
    await first.server[how]();
    await before.ended();
    const second = await start({ store: { directory } });
    await publish(second.url, 'lamps/1', 'missed');
    const after = Device.tcp(second.port);
    expect(await after.connect(kept)).toMatchObject({ sessionPresent: true });
    expect(await after.until('publish')).toMatchObject({ topic: 'lamps/1' });
  });
});

describe('a client certificate', () => {
  async function startAsking(clientCertificate: 'request' | 'require') {
    const directory = mkdtempSync(join(tmpdir(), 'trunkline-clients-'));
    opened.push({ close: () => rmSync(directory, { recursive: true, force: true }) });
    const clientCa = [join(directory, 'ca.pem')];
    writeFileSync(clientCa[0] ?? '', authority.cert);
    const { tlsPort, url } = await start({
      tls: { dev: true, clientCa, clientCertificate },
      auth: { apiKeys: ['key'], certificates: { channels: { 'lamps/%u': ['publish'] } } },
      mqtt: { port: 0, tlsPort: 'auto' },
    });
    const open = (shown: { readonly cert?: string; readonly key?: string } = {}): Device => {
      const options = { port: tlsPort, host: '127.0.0.1', rejectUnauthorized: false };
      return new Device(connectTls({ ...options, ...shown }));
    };
    return { open, url };
  }

  test('says who a device is, and what it may do [AUTH-12]', async () => {
    const { open } = await startAsking('require');
    const device = open(authority.issue({ names: ['lamp-7'] }));
    expect(await device.connect()).toMatchObject({ reason: 0 });
    for (const topic of ['lamps/lamp-7', 'lamps/lamp-8']) {
      const payload = Buffer.from('1');
      const more = { qos: 1, retain: false, dup: false, packetId: 1, properties: {} } as const;
      device.send({ kind: 'publish', topic, payload, ...more });
      const isMine = topic === 'lamps/lamp-7';
      expect(await device.next('puback')).toMatchObject({ reason: isMine ? 0 : 0x87 });
    }
  });

  test('is needed where one is required, and not where one is asked for [DEV-3]', async () => {
    const strict = await startAsking('require');
    for (const shown of [{}, new Authority('Somebody').issue({ names: ['lamp-7'] })]) {
      const device = strict.open(shown);
      device.send(CONNECT);
      await device.ended();
      expect(device.packets).toEqual([]);
    }
    const lax = await startAsking('request');
    const device = lax.open();
    expect(await device.connect({ password: Buffer.from('key') })).toMatchObject({ reason: 0 });
  });
});

describe('MQTT over WebSocket', () => {
  test('may be cut anywhere, and is bytes alone [DEV-4] [MQTT-6.0.0-1]', async () => {
    const { url } = await start({ mqtt: { port: 0 } });
    const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws`, 'mqtt');
    opened.push({ close: () => socket.close() });
    socket.binaryType = 'arraybuffer';
    await once(socket, 'open');
    expect(socket.protocol).toBe('mqtt');
    const answered = once(socket, 'message') as Promise<MessageEvent[]>;
    for (const byte of encode(CONNECT, 5)) socket.send(Uint8Array.of(byte));
    const [answer] = await answered;
    expect(Buffer.from(answer?.data as ArrayBuffer)[0]).toBe(0x20);
    const closed = once(socket, 'close') as Promise<CloseEvent[]>;
    socket.send('text');
    expect((await closed)[0]?.code).toBe(1003);
  });
});
