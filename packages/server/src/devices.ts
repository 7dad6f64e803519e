/**
 * Devices: MQTT at one node, its protocol and the ports on which it is spoken. A part of the
 * composition root: beside `server.ts` the only file that knows several layers.
 */
import type { CodedError } from '@trunkline/wire';
import { admitMqtt, MQTT_NAME } from './admission/mqtt.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { StateStore } from './broker/state.ts';
import type { Clock } from './clock.ts';
import { isLoopback } from './config/access.ts';
import type { ServerConfig } from './config/schema.ts';
import type { Parting } from './drain.ts';
import type { Capacity } from './http/capacity.ts';
import { urlHost } from './http/net-server.ts';
import type { ListenAddress } from './http/net-server.ts';
import type { Hub } from './hub/hub.ts';
import type { Link } from './link/link.ts';
import type { Turn } from './link/turn.ts';
import type { Log } from './observe/log.ts';
import { mqttConfig, tcpConfig } from './part-configs.ts';
import { MqttProtocol } from './protocols/mqtt/protocol.ts';
import type { Random } from './random.ts';
import type { Certificate } from './tls/certificate.ts';
import { createClientCertificates } from './tls/client-certificates.ts';
import type { ClientCertificates } from './tls/client-certificates.ts';
import { TcpTransport } from './transports/tcp/transport.ts';
import type { Wheel } from './wheel.ts';

/** What it is made from. */
export interface DevicesParts {
  readonly config: ServerConfig;
  readonly hub: Hub;
  readonly state: StateStore;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly wheel: Wheel;
  readonly turn: Turn;
  /** Shared with the HTTP listener. */
  readonly capacity: Capacity;
  /** The server's; opened and closed by its owner. */
  readonly certificate: Certificate | undefined;
  /** True in development mode. */
  readonly development: boolean;
  /** Set while the node takes no new clients. */
  refusal(): CodedError | undefined;
}

/** One port, and the flag that sets it. */
interface Port {
  readonly transport: TcpTransport;
  readonly flag: '--mqtt-port' | '--mqtts-port';
}

/** The protocol, and the ports that are configured. */
export class Devices {
  readonly protocol: MqttProtocol;
  readonly #parts: DevicesParts;
  readonly #certificates: ClientCertificates | undefined;
  readonly #ports: readonly Port[];

  constructor(parts: DevicesParts) {
    this.#parts = parts;
    const { certificate, config } = parts;
    this.protocol = new MqttProtocol({ ...parts, config: mqttConfig(config, parts) });
    const { port, tlsPort } = config.mqtt;
    const asksClients = certificate !== undefined && tlsPort !== 0;
    this.#certificates = asksClients
      ? createClientCertificates(config.tls, { ...parts, certificate })
      : undefined;
    this.#ports = [
      ...(port === 0 ? [] : [this.#createPort(port)]),
      // The schema asks for a certificate where there is such a port.
      ...(tlsPort === 0 || certificate === undefined
        ? []
        : [this.#createPort(tlsPort, certificate)]),
    ];
  }

  /** By their names, for the metrics. */
  get transports(): Readonly<Record<string, TcpTransport>> {
    return Object.fromEntries(this.#ports.map(({ transport }) => [transport.name, transport]));
  }

  /** The links of all ports. */
  get links(): readonly Link[] {
    return this.#ports.flatMap(({ transport }) => [...transport.links]);
  }

  /** Who speaks on a link, whatever carries it: whoever ends the link leaves the goodbye to it. */
  get speakers(): ReadonlyMap<Link, Parting> {
    return new Map([...this.protocol.connections].map((one) => [one.link, one]));
  }

  /**
   * Takes up what the last run left, and listens. @returns where, as addresses.
   *
   * @throws {ConfigError} when the authorities of clients can't be read, or an error that says which
   *   port can't be had and what to do.
   */
  async start(): Promise<readonly string[]> {
    await this.#certificates?.open();
    this.protocol.start();
    const { host, tls } = this.#parts.config;
    const urls: string[] = [];
    for (const { transport, flag } of this.#ports) {
      const { port } = await listen(transport, flag);
      const isPlain = transport.name === 'tcp';
      urls.push(`${isPlain ? 'mqtt' : 'mqtts'}://${urlHost(host)}:${port}`);
      if (isPlain && !isLoopback(host) && (tls.dev || tls.cert !== undefined)) {
        const advice = '--mqtts-port serves MQTT over TLS, --mqtt-port 0 closes this port';
        this.#parts.log.warn({ port }, `MQTT is also served without TLS; ${advice}`);
      }
    }
    return urls;
  }

  /** Takes no new connections at its ports. Idempotent. */
  async stop(): Promise<void> {
    this.#certificates?.close();
    for (const { transport } of this.#ports) await transport.stop();
  }

  /**
   * Ends every session, whatever carries it, and cuts what is left at the ports. Resolves when what
   * sessions keep is stored.
   */
  async end(): Promise<void> {
    for (const connection of [...this.protocol.connections]) {
      connection.close({ code: 'draining' });
    }
    for (const { transport } of this.#ports) transport.destroyAll();
    await this.protocol.stop();
  }

  #createPort(port: number | 'auto', tls?: Certificate): Port {
    const { config, authenticator, development } = this.#parts;
    const certificates = tls === undefined ? undefined : this.#certificates;
    const transport = new TcpTransport({
      ...this.#parts,
      host: config.host,
      port: port === 'auto' ? 0 : port,
      config: tcpConfig(config),
      admit: admitMqtt({
        protocol: this.protocol,
        authenticator,
        development,
        ...(certificates === undefined ? {} : { certificates }),
        refusal: () => this.#parts.refusal(),
      }),
      ...(tls === undefined
        ? {}
        : {
            tls: () => ({
              ...(certificates?.terms ?? { context: tls.context }),
              ALPNProtocols: [MQTT_NAME],
            }),
          }),
    });
    return { transport, flag: tls === undefined ? '--mqtt-port' : '--mqtts-port' };
  }
}

/** 1883 is everybody's usual port, so that it is taken is no rare case. */
async function listen(transport: TcpTransport, flag: Port['flag']): Promise<ListenAddress> {
  try {
    return await transport.start();
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EADDRINUSE') throw error;
    const advice = `${flag} takes another port, auto for any free one, 0 for none`;
    throw new Error(`${error.message}: perhaps another MQTT broker runs here; ${advice}`, {
      cause: error,
    });
  }
}
