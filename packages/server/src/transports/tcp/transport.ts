/** The TCP transport: connections become links, over TLS once their handshake is done. */
import type { Server, Socket } from 'node:net';
import type { CodeName } from '@trunkline/wire';
import type { Capacity } from '../../http/capacity.ts';
import { addressOf, createNetServer, listen } from '../../http/net-server.ts';
import type { ListenAddress } from '../../http/net-server.ts';
import { beginTls } from '../../http/tls-socket.ts';
import type { TlsTerms } from '../../http/tls-socket.ts';
import type { Link } from '../../link/link.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { LinkSet } from '../link-set.ts';
import type { LinkCounts } from '../link-set.ts';
import { SILENT } from '../transport.ts';
import type { Admission, AdmitPeer, Peer } from '../transport.ts';
import type { TcpConfig } from './config.ts';
import { TcpLink } from './link.ts';
import type { TcpLinkParts } from './link.ts';

/** What the transport is built from. */
export interface TcpTransportOptions {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  readonly turn: Turn;
  readonly wheel: Wheel;
  readonly log: Log;
  readonly config: TcpConfig;
  /** Shared with the server's other listeners. */
  readonly capacity: Capacity;
  readonly admit: AdmitPeer;
  /** Set to serve over TLS, and nothing without it; asked at each handshake. */
  readonly tls?: () => TlsTerms;
}

/** Listens at one address, and keeps the links that its connections became. */
export class TcpTransport {
  readonly name: 'tcp' | 'tls';
  readonly #options: TcpTransportOptions;
  readonly #server: Server;
  readonly #parts: TcpLinkParts;
  readonly #links = new LinkSet<TcpLink>('');
  /** By the socket that is to be protected. */
  readonly #handshakes = new Map<Socket, Handshake>();
  readonly #onUnprotectedClose: (this: Socket) => void;
  #stopped = false;

  constructor(options: TcpTransportOptions) {
    const { turn, wheel, config, log, capacity } = options;
    this.name = options.tls === undefined ? 'tcp' : 'tls';
    this.#options = options;
    this.#server = createNetServer((socket) => this.#onSocket(socket));
    this.#parts = {
      name: this.name,
      turn,
      wheel,
      config,
      log,
      onGone: (link, close) => {
        this.#links.remove(link, close);
        capacity.leave(link.info.remoteAddress);
      },
    };
    const endHandshake = (socket: Socket): void => this.#abandon(socket);
    this.#onUnprotectedClose = function onClose() {
      endHandshake(this);
    };
  }

  /** Links that are open, those that are still closing included. */
  get links(): ReadonlySet<Link> {
    return this.#links.links;
  }

  /** What is counted of the links, for the metrics. */
  get counts(): LinkCounts {
    return this.#links.counts;
  }

  /** Open connections, those in their handshake included. */
  get connectionCount(): number {
    return this.links.size + this.#handshakes.size;
  }

  /** Resolves when peers can connect. @throws when the address can't be listened on. */
  async start(): Promise<ListenAddress> {
    const { host, port, log } = this.#options;
    const address = await listen(this.#server, host, port);
    this.#server.on('error', (error) => log.error({ error }, `the ${this.name} listener failed`));
    return address;
  }

  /**
   * Takes no new connections and cuts those in their handshake. Links stay: they are their owners' to
   * end. Resolves when nothing listens any more. Idempotent.
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    // Its callback waits for all connections; listening ends with the call.
    if (this.#server.listening) this.#server.close();
    for (const socket of this.#handshakes.keys()) socket.destroy();
  }

  /** Cuts all connections; for the end of a drain's deadline. */
  destroyAll(): void {
    for (const link of this.#links.links) link.cut();
    for (const socket of this.#handshakes.keys()) socket.destroy();
  }

  #onSocket(socket: Socket): void {
    const { tls, capacity } = this.#options;
    const address = addressOf(socket);
    // There is nothing to say to who finds no room, before it is known what it speaks.
    if (address === undefined || this.#stopped || capacity.enter(address) !== undefined) {
      socket.destroy();
      return;
    }
    if (tls === undefined) {
      this.#begin(socket, { remoteAddress: address });
      return;
    }
    let terms: TlsTerms;
    try {
      terms = tls();
    } catch (error) {
      this.#options.log.error({ error, address }, 'there is no certificate to show');
      capacity.leave(address);
      socket.destroy();
      return;
    }
    this.#shake(socket, address, terms);
  }

  #shake(socket: Socket, address: string, terms: TlsTerms): void {
    const { wheel, config, log } = this.#options;
    const handshake = new Handshake(socket, address);
    this.#handshakes.set(socket, handshake);
    wheel.arm(handshake, config.handshakeMs);
    socket.on('error', ignore);
    socket.on('close', this.#onUnprotectedClose);
    beginTls(socket, terms, {
      onSecure: (secured) => {
        if (this.#endHandshake(socket) === undefined) return;
        this.#begin(secured, { remoteAddress: address, secured });
      },
      onFailed: (error) => log.debug({ error, address }, 'a TLS handshake failed'),
    });
  }

  /** A socket is closed; it counted here only if its handshake was not done. */
  #abandon(socket: Socket): void {
    const handshake = this.#endHandshake(socket);
    if (handshake !== undefined) this.#options.capacity.leave(handshake.address);
  }

  #endHandshake(socket: Socket): Handshake | undefined {
    const handshake = this.#handshakes.get(socket);
    if (handshake === undefined) return undefined;
    this.#handshakes.delete(socket);
    this.#options.wheel.cancel(handshake);
    return handshake;
  }

  #begin(stream: Socket, peer: Peer): void {
    const { log, capacity } = this.#options;
    const { remoteAddress } = peer;
    const admission = this.#admit(peer);
    if (admission.kind === 'refused') {
      const { message } = admission;
      log.debug({ address: remoteAddress, message }, 'a connection was refused');
      capacity.leave(remoteAddress);
      stream.destroy();
      return;
    }
    const link = new TcpLink(stream, remoteAddress, this.#parts);
    this.#links.add(link, '');
    let handler = SILENT;
    try {
      handler = admission.open(link);
    } catch (error) {
      log.error({ error, address: remoteAddress }, 'opening a link failed');
      link.close({ code: 'internal' });
    }
    link.start(handler);
  }

  #admit(peer: Peer): Admission {
    if (this.#stopped) return refused('draining', 'this server takes no new connections');
    try {
      return this.#options.admit(peer);
    } catch (error) {
      const { remoteAddress: address } = peer;
      this.#options.log.error({ error, address }, 'admitting a connection failed');
      return refused('internal', 'the server failed; its log says why');
    }
  }
}

/** A handshake that is under way, and its deadline. */
class Handshake implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;
  readonly address: string;
  readonly #socket: Socket;

  constructor(socket: Socket, address: string) {
    this.#socket = socket;
    this.address = address;
  }

  onAlarm(): void {
    this.#socket.destroy();
  }
}

/** A refusal of the transport's own. */
function refused(code: CodeName, message: string): Admission {
  return { kind: 'refused', close: { code }, message, tellInside: false };
}

function ignore(): void {
  // 'close' follows and does what is to be done.
}
