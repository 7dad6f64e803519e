/**
 * The server: the composition root, the only file that knows every layer.
 *
 * Clients come in through transports, speak a protocol, and meet in the hub; the hub keeps what is
 * published in the broker. Everything is made here and handed what it needs.
 */
import { CodedError } from '@trunkline/wire';
import { admitEventStream } from './admission/event-stream.ts';
import type { GateParts } from './admission/gate.ts';
import { admitWebSocket } from './admission/websocket.ts';
import { createApi } from './api/api.ts';
import type { Api } from './api/api.ts';
import type { MetricsSource } from './api/metrics.ts';
import { Authenticator, tokenSecret } from './auth/authenticator.ts';
import { DevelopmentGuard } from './auth/development-guard.ts';
import type { EmbeddedBroker } from './backplanes/embedded/broker.ts';
import { createEmbeddedBroker } from './backplanes/embedded/create.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { resolveAccess } from './config/access.ts';
import type { Access } from './config/access.ts';
import type { NamespaceInput } from './config/namespace-rules.ts';
import { compileNamespaces } from './config/namespaces.ts';
import type { ServerConfig } from './config/schema.ts';
import { Devices } from './devices.ts';
import { drain } from './drain.ts';
import type { Parting } from './drain.ts';
import { MachineFeed, METRICS_CHANNEL } from './feed/machine-feed.ts';
import type { FeedCounts } from './feed/machine-feed.ts';
import { Capacity } from './http/capacity.ts';
import { createFileServer } from './http/files.ts';
import type { Asset } from './http/files.ts';
import { AnswerGzip } from './http/gzip.ts';
import { createHttpListener } from './http/listener.ts';
import type { HttpListener } from './http/listener.ts';
import { urlHost } from './http/net-server.ts';
import { createOriginRules } from './http/origin.ts';
import { Hub } from './hub/hub.ts';
import { Turn } from './link/turn.ts';
import { createPinoLog } from './observe/pino-log.ts';
import type { Log } from './observe/log.ts';
import { Metrics } from './observe/metrics.ts';
import {
  authOptions,
  capacityLimits,
  deflateConfig,
  http2Limits,
  nativeConfig,
} from './part-configs.ts';
import { EventStreamProtocol } from './protocols/eventstream/protocol.ts';
import { NativeProtocol } from './protocols/native/protocol.ts';
import { systemRandom } from './random.ts';
import type { Random } from './random.ts';
import { readAll } from './readings.ts';
import type { Certificate } from './tls/certificate.ts';
import { createCertificate } from './tls/create.ts';
import type { DeflateCounts } from './transports/deflate.ts';
import { SSE_DEFAULTS } from './transports/sse/config.ts';
import { SseTransport } from './transports/sse/transport.ts';
import { WEBSOCKET_DEFAULTS } from './transports/websocket/config.ts';
import { openEcho } from './transports/websocket/echo.ts';
import { createWebSocketTransport } from './transports/websocket/transport.ts';
import type { WebSocketTransport } from './transports/websocket/transport.ts';
import { Wheel } from './wheel.ts';

/** What a server may be given instead of its own. */
export interface ServerParts {
  /** Files by path, served for GET. */
  readonly assets?: ReadonlyMap<string, Asset>;
  readonly log?: Log;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** Where a started server listens. */
export interface Started {
  readonly urls: readonly string[];
  /** With `--tls-dev`: SHA-256 of the certificate made on the spot, in lower-case hex. */
  readonly certificateSha256?: string;
}

/** What every layer is handed: time, chance, the log, and the turn in which all is written. */
interface Core {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly wheel: Wheel;
  readonly turn: Turn;
}

/** Makes a server; it listens once `start` is called. @throws {ConfigError} see `resolveAccess`. */
export function createServer(config: ServerConfig, parts: ServerParts = {}): TrunklineServer {
  return new TrunklineServer(config, parts);
}

/** One node: everything it is made of, from the listener to the log. */
export class TrunklineServer {
  readonly #config: ServerConfig;
  readonly #access: Access;
  readonly #core: Core;
  readonly #capacity: Capacity;
  readonly #broker: EmbeddedBroker;
  readonly #hub: Hub;
  readonly #native: NativeProtocol;
  readonly #devices: Devices;
  readonly #webSockets: WebSocketTransport;
  readonly #eventStreams: SseTransport;
  readonly #certificate: Certificate | undefined;
  readonly #listener: HttpListener;
  readonly #feed: MachineFeed | undefined;
  readonly #deflated: DeflateCounts = { inBytes: 0, outBytes: 0 };
  #state: 'new' | 'open' | 'draining' | 'closed' = 'new';
  #starting: Promise<Started> | undefined;
  #closing: Promise<void> | undefined;

  constructor(config: ServerConfig, parts: ServerParts) {
    const { clock = systemClock, random = systemRandom } = parts;
    const node = config.node ?? random.word(8);
    const log = parts.log ?? createPinoLog(config.logLevel, node);
    this.#config = config;
    this.#access = resolveAccess(config);
    this.#core = { clock, random, log, wheel: new Wheel(clock), turn: new Turn(clock) };
    this.#capacity = new Capacity(capacityLimits(config), log);
    this.#broker = this.#createBroker();
    this.#hub = this.#createHub(node);

    const auth = authOptions(config, this.#access, random);
    const { development } = this.#access;
    const origins = createOriginRules({ allowed: config.auth.origins, development });
    const authenticator = new Authenticator(auth, { clock, origins });
    const gate: GateParts = {
      origins,
      authenticator,
      ...(development ? { guard: new DevelopmentGuard(origins) } : {}),
      refusal: () => this.#refusal(),
    };
    this.#native = new NativeProtocol({
      hub: this.#hub,
      authenticator,
      ...this.#core,
      config: nativeConfig(config, this.#access, node),
    });
    this.#certificate = createCertificate(config.tls, { host: config.host, ...this.#core });
    this.#devices = this.#createDevices(authenticator);
    this.#webSockets = this.#createWebSockets(gate);
    this.#eventStreams = this.#createEventStreams(gate);
    const api = this.#createApi(gate, development ? tokenSecret(auth) : undefined, parts.assets);
    this.#listener = this.#createListener(api);
    this.#feed = development ? this.#createFeed() : undefined;
  }

  /**
   * Opens the log and listens. Called once.
   *
   * @throws {BrokerError} when the log can't be opened, or the system's error when the address
   *   can't be listened on; the server is closed then.
   */
  start(): Promise<Started> {
    if (this.#state !== 'new' || this.#starting !== undefined) {
      return Promise.reject(new Error('a server is started once'));
    }
    this.#starting = this.#start();
    return this.#starting;
  }

  /**
   * Says goodbye to every client in its transport's own words, spread over the drain window, and
   * closes. Resolves when all is closed, which is soon after the deadline at the latest.
   */
  async drain(): Promise<void> {
    // Whoever asks while it starts wants it to end all the same.
    await this.#starting?.catch(() => {}); // Its caller hears of the failure.
    if (this.#state === 'open') {
      this.#state = 'draining';
      this.#feed?.stop();
      await drain({
        listeners: [this.#listener, this.#devices],
        connections: this.#capacity,
        ...this.#core,
        sessions: this.#native.sessions,
        links: () => this.#partings(),
        endWaits: () => this.#hub.endWaits(),
        ...this.#config.drain,
      });
    }
    await this.close();
  }

  /**
   * Closes at once, without goodbyes. What was accepted is stored. Resolves when all is closed,
   * however often it is called.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #start(): Promise<Started> {
    try {
      await this.#certificate?.open();
      await this.#hub.open();
      const { port } = await this.#listener.start();
      const mqttUrls = await this.#devices.start();
      this.#state = 'open';
      this.#feed?.start();
      const { host, tls } = this.#config;
      const scheme = this.#certificate === undefined ? 'http' : 'https';
      return {
        urls: [`${scheme}://${urlHost(host)}:${port}`, ...mqttUrls],
        ...(tls.dev ? { certificateSha256: this.#certificate?.sha256 ?? '' } : {}),
      };
    } catch (error) {
      await this.#release();
      throw error;
    }
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => {}); // Its caller hears of the failure.
    await this.#release();
  }

  async #release(): Promise<void> {
    this.#state = 'closed';
    this.#feed?.stop();
    await this.#listener.stop();
    await this.#devices.stop();
    await this.#devices.end();
    this.#listener.destroyAll();
    this.#certificate?.close();
    this.#core.wheel.close();
    await this.#hub.close();
  }

  #createWebSockets(gate: GateParts): WebSocketTransport {
    const { link, echo } = this.#config;
    return createWebSocketTransport({
      ...this.#core,
      config: {
        ...WEBSOCKET_DEFAULTS,
        pingIntervalMs: link.pingIntervalMs,
        pongMs: link.pongMs,
        frameBytesMax: link.frameBytesMax,
        messageBytesMax: link.frameBytesMax,
      },
      ...deflateConfig(this.#config, this.#deflated),
      admit: admitWebSocket(gate, {
        native: this.#native,
        mqtt: this.#devices.protocol,
        ...(echo || this.#access.development ? { echo: openEcho } : {}),
      }),
    });
  }

  #createEventStreams(gate: GateParts): SseTransport {
    const hub = this.#hub;
    const { retryMs } = SSE_DEFAULTS;
    const { link, compression } = this.#config;
    return new SseTransport({
      ...this.#core,
      config: { ...SSE_DEFAULTS, keepAliveMs: link.commentIntervalMs },
      ...(compression.eventStreams ? { gzip: { ...compression, counts: this.#deflated } } : {}),
      admit: admitEventStream({
        gate,
        hub,
        random: this.#core.random,
        protocol: new EventStreamProtocol({ hub, ...this.#core, retryMs }),
      }),
    });
  }

  #createDevices(authenticator: Authenticator): Devices {
    return new Devices({
      config: this.#config,
      hub: this.#hub,
      state: this.#broker.state,
      authenticator,
      ...this.#core,
      capacity: this.#capacity,
      certificate: this.#certificate,
      development: this.#access.development,
      refusal: () => this.#refusal(),
    });
  }

  #createApi(gate: GateParts, minting: string | undefined, assets: ServerParts['assets']): Api {
    const { link, poll, compression } = this.#config;
    return createApi({
      hub: this.#hub,
      ...gate,
      ...this.#core,
      options: {
        development: this.#access.development,
        bodySizeMax: link.frameBytesMax,
        pollWaitMsMax: poll.waitMsMax,
        waitingPollsPerAddressMax: poll.waitingPerAddressMax,
      },
      ...(minting === undefined ? {} : { tokenSecret: minting }),
      readiness: () => (this.#state === 'open' ? 'ready' : 'draining'),
      ...(assets === undefined ? {} : { fallback: createFileServer(assets) }),
      metrics: this.#createMetrics(gate.authenticator),
      ...(compression.answers ? { gzip: new AnswerGzip(compression) } : {}),
    });
  }

  #createMetrics(authenticator: Authenticator): MetricsSource {
    const metrics = new Metrics(() =>
      readAll({
        hub: this.#hub,
        authenticator,
        capacity: this.#capacity,
        listener: this.#listener,
        transports: {
          websocket: this.#webSockets,
          sse: this.#eventStreams,
          ...this.#devices.transports,
        },
        sessions: this.#native.sessions,
        mqtt: this.#devices.protocol,
        deflated: this.#deflated,
        logQueue: this.#broker.waiting,
        ready: this.#state === 'open',
      }),
    );
    const open = this.#access.development || this.#config.metrics.open;
    return { open, page: () => metrics.page() };
  }

  #createListener(api: Api): HttpListener {
    const { host, port } = this.#config;
    return createHttpListener({
      host,
      port,
      ...this.#core,
      limits: capacityLimits(this.#config),
      http2Limits: http2Limits(this.#config),
      capacity: this.#capacity,
      ...(this.#certificate === undefined ? {} : { tls: this.#certificate }),
      handlers: {
        onRequest: (request) => api.onRequest(request),
        onUpgrade: (request) => this.#webSockets.onUpgrade(request),
        onEventStream: (request) => this.#eventStreams.onEventStream(request),
        isEventStream: (path) => path === '/v1/sse',
      },
    });
  }

  #createBroker(): EmbeddedBroker {
    const { store } = this.#config;
    return createEmbeddedBroker({
      ...(store.memory ? {} : { directory: store.directory }),
      ...this.#core,
      sync: store.fsync ? 'full' : 'off',
      keyWindowMs: store.keyWindowMs,
      keysPerChannelMax: store.keysPerChannelMax,
      metadataMs: store.metadataAgeMsMax,
    });
  }

  #createHub(node: string): Hub {
    const { store, link, namespaces, checkIntervalMs } = this.#config;
    const rules = this.#access.development
      ? { [METRICS_CHANNEL]: METRICS_RULES, ...namespaces }
      : namespaces;
    return new Hub({
      broker: this.#broker,
      ...this.#core,
      config: {
        ...compileNamespaces(rules, this.#access.defaults),
        node,
        keyWindowMs: store.keyWindowMs,
        publishMs: store.publishMs,
        highWaterSize: link.pendingBytesMax,
        checkIntervalMs,
      },
    });
  }

  #createFeed(): MachineFeed {
    return new MachineFeed({
      hub: this.#hub,
      ...this.#core,
      counts: () => ({
        links: {
          websocket: this.#webSockets.links.size,
          sse: this.#eventStreams.links.size,
          polls: this.#hub.waitCount,
        },
        mqtt: this.#countDevices(),
        members: this.#hub.presence.memberCount,
        ...this.#hub.counts,
      }),
    });
  }

  /** By what carries them. */
  #countDevices(): FeedCounts['mqtt'] {
    const counts = { tcp: 0, tls: 0, websocket: 0 };
    for (const { link } of this.#devices.protocol.connections) {
      const { transport } = link.info;
      if (transport === 'tcp' || transport === 'tls') counts[transport] += 1;
      else counts.websocket += 1;
    }
    return counts;
  }

  /** Everyone who is to hear a goodbye, in the words of what is spoken on the link. */
  #partings(): readonly Parting[] {
    const { speakers, links } = this.#devices;
    const all = [...this.#webSockets.links, ...this.#eventStreams.links, ...links];
    return all.map((link) => speakers.get(link) ?? link);
  }

  #refusal(): CodedError | undefined {
    if (this.#state === 'open') return undefined;
    return new CodedError('draining', 'this node takes no new clients', { retryAfter: 1000 });
  }
}

/** The last minutes of the machine's load; nobody but the server says what it is. */
const METRICS_RULES: NamespaceInput = {
  history: { countMax: 300 },
  allow: { anonymous: ['subscribe', 'history'] },
};
