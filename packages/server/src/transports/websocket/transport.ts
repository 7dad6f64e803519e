/** The WebSocket transport: handshakes become links (RFC 6455 §4.2). */
import type { CodeName } from '@trunkline/wire';
import type { Clock } from '../../clock.ts';
import { problemAnswer } from '../../http/problem.ts';
import type { StreamRequest } from '../../http/request.ts';
import type { Close, Link } from '../../link/link.ts';
import type { Turn } from '../../link/turn.ts';
import type { Log } from '../../observe/log.ts';
import type { Alarm, AlarmMarks, Wheel } from '../../wheel.ts';
import { LinkSet } from '../link-set.ts';
import type { LinkCounts } from '../link-set.ts';
import { SILENT } from '../transport.ts';
import type { Admission, Admit } from '../transport.ts';
import { Compression } from './compression.ts';
import type { LinkCompression } from './compression.ts';
import type { WebSocketConfig } from './config.ts';
import type { DeflateConfig } from './deflate.ts';
import { readHandshake } from './handshake.ts';
import type { Handshake } from './handshake.ts';
import { WebSocketLink } from './link.ts';
import type { LinkParts } from './link.ts';

/** What the transport is built from. */
export interface WebSocketTransportOptions {
  readonly turn: Turn;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly config: WebSocketConfig;
  readonly log: Log;
  readonly admit: Admit;
  /** Absent where nothing is compressed. */
  readonly compression?: DeflateConfig;
}

/** Takes handshakes in and keeps the links they became. */
export interface WebSocketTransport {
  /** Answers a handshake: with a link, or with a refusal. Never throws. */
  onUpgrade(request: StreamRequest): void;
  /**
   * Refuses handshakes from now on and closes every link, all with the same code. Resolves when
   * the last one is gone, which is within `closeMs`.
   */
  close(close: Close): Promise<void>;
  /** Links that are open, those that are still closing included. */
  readonly links: ReadonlySet<Link>;
  /** What is counted of the links, for the metrics. */
  readonly counts: LinkCounts;
}

/** Makes a transport; it listens to nothing by itself. */
export function createWebSocketTransport(options: WebSocketTransportOptions): WebSocketTransport {
  return new Transport(options);
}

type Welcome = Extract<Admission, { kind: 'welcome' }>;
type Refusal = Extract<Admission, { kind: 'refused' }>;
type ValidHandshake = Extract<Handshake, { kind: 'valid' }>;

/** What links of one kind share: those for text and bytes, or those for bytes alone. */
interface Kind {
  readonly parts: LinkParts;
  /** The parts of links that compress: those without context share theirs. */
  readonly compressing: WeakMap<LinkCompression, LinkParts>;
}

class Transport implements WebSocketTransport {
  readonly #options: WebSocketTransportOptions;
  readonly #any: Kind;
  readonly #binary: Kind;
  readonly #compression: Compression | undefined;
  readonly #links = new LinkSet<WebSocketLink>();
  #closed: Close | undefined;
  #onEmpty: (() => void)[] = [];

  constructor(options: WebSocketTransportOptions) {
    const { turn, clock, wheel, config, log, compression } = options;
    this.#options = options;
    this.#compression = compression === undefined ? undefined : new Compression(compression);
    const { frameBytesMax, messageBytesMax, fragmentsMax } = config;
    const rules = { peerMasks: true, frameBytesMax, messageBytesMax, fragmentsMax };
    const shared = { turn, clock, wheel, config, log };
    const onGone = (link: WebSocketLink, close: Close): void => this.#forget(link, close);
    const kind = (binaryOnly: boolean): Kind => ({
      parts: { ...shared, rules: { ...rules, binaryOnly }, onGone },
      compressing: new WeakMap(),
    });
    this.#any = kind(false);
    this.#binary = kind(true);
  }

  get links(): ReadonlySet<Link> {
    return this.#links.links;
  }

  get counts(): LinkCounts {
    return this.#links.counts;
  }

  onUpgrade(request: StreamRequest): void {
    const handshake = readHandshake(request);
    if (handshake.kind === 'invalid') {
      const { status, message, headers } = handshake;
      request.refuse(problemAnswer('bad_request', message, { status, headers }));
      return;
    }
    if (this.#closed !== undefined) {
      this.#refuse(request, this.#closed.code, 'this server takes no new connections');
      return;
    }
    this.#admit(request, (admission) => this.#answer(request, handshake, admission));
  }

  async close(close: Close): Promise<void> {
    this.#closed ??= close;
    for (const link of this.links) link.close(close);
    if (this.links.size === 0) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Asks who is let in, and gives the answer on: at once, later, or after `admitMs` a refusal. */
  #admit(request: StreamRequest, answer: (admission: Admission) => void): void {
    const { admit, wheel, config, log } = this.#options;
    const failed = (error: unknown): Admission => {
      log.error({ error, path: request.path }, 'admitting a WebSocket failed');
      return refused('internal', 'the server failed; its log says why');
    };
    let admission: Admission | Promise<Admission>;
    try {
      admission = admit(request);
    } catch (error) {
      admission = failed(error);
    }
    if (!(admission instanceof Promise)) {
      answer(admission);
      return;
    }
    const wait = new AdmissionWait(wheel, answer);
    wheel.arm(wait, config.admitMs);
    admission
      .then(
        (decided) => wait.settle(decided),
        (error: unknown) => wait.settle(failed(error)),
      )
      .catch((error: unknown) => {
        log.error({ error, path: request.path }, 'answering a WebSocket handshake failed');
      });
  }

  #answer(request: StreamRequest, handshake: ValidHandshake, admission: Admission): void {
    if (this.#closed !== undefined && admission.kind === 'welcome') {
      this.#refuse(request, this.#closed.code, 'this server takes no new connections');
    } else if (admission.kind === 'welcome') {
      this.#welcome(request, handshake, admission);
    } else if (admission.tellInside) {
      this.#tellInside(request, handshake, admission);
    } else {
      const { close, message, headers = {} } = admission;
      const { code, retryAfter } = close;
      const details = retryAfter === undefined ? { headers } : { headers, retryAfter };
      request.refuse(problemAnswer(refusalCode(code), message, details));
    }
  }

  /** A client that left meanwhile is a link as well, which closes at once. */
  #welcome(request: StreamRequest, handshake: ValidHandshake, admission: Welcome): void {
    const { subprotocol, binaryOnly = false, headers = {} } = admission;
    const extensions = this.#compression?.negotiate(request.headers['sec-websocket-extensions']);
    if (extensions?.kind === 'malformed') {
      this.#refuse(request, 'bad_request', 'expected Sec-WebSocket-Extensions to list extensions');
      return;
    }
    const agreed = extensions?.kind === 'agreed' ? extensions : undefined;
    const fields = {
      ...headers,
      // RFC 6455 §4.2.2: one of those offered, or none.
      ...(subprotocol === undefined ? {} : { 'sec-websocket-protocol': subprotocol }),
      ...(agreed === undefined ? {} : { 'sec-websocket-extensions': agreed.answer }),
    };
    const parts = this.#partsFor(binaryOnly ? this.#binary : this.#any, agreed?.compression);
    const link = this.#accept(request, handshake.accept, fields, parts);
    let handler = SILENT;
    try {
      handler = admission.open(link);
    } catch (error) {
      this.#options.log.error({ error, path: request.path }, 'opening a link failed');
      link.close({ code: 'internal' });
    }
    link.start(handler);
  }

  /** A browser sees a refusal only as the close of an open WebSocket. */
  #tellInside(request: StreamRequest, handshake: ValidHandshake, refusal: Refusal): void {
    const { headers = {}, close, message } = refusal;
    // A browser that asked for subprotocols fails unless one is chosen (RFC 6455 §4.1).
    const [first] = handshake.subprotocols;
    const link = this.#accept(request, handshake.accept, {
      ...headers,
      ...(first === undefined ? {} : { 'sec-websocket-protocol': first }),
    });
    link.start(SILENT);
    link.close({ ...close, reason: message });
  }

  #accept(
    request: StreamRequest,
    accept: string | undefined,
    headers: Readonly<Record<string, string>>,
    parts: LinkParts = this.#any.parts,
  ): WebSocketLink {
    const isUpgrade = request.version === '1.1';
    const stream = request.accept(isUpgrade ? 101 : 200, {
      ...(isUpgrade ? UPGRADE : {}),
      ...(accept === undefined ? {} : { 'sec-websocket-accept': accept }),
      ...headers,
    });
    const link = new WebSocketLink(stream, request.remoteAddress, parts);
    this.#links.add(link, request.version);
    return link;
  }

  #partsFor(kind: Kind, compression: LinkCompression | undefined): LinkParts {
    if (compression === undefined) return kind.parts;
    let parts = kind.compressing.get(compression);
    if (parts === undefined) {
      const { inflater } = compression;
      parts = { ...kind.parts, compression, rules: { ...kind.parts.rules, inflater } };
      kind.compressing.set(compression, parts);
    }
    return parts;
  }

  #refuse(request: StreamRequest, code: Close['code'], message: string): void {
    request.refuse(problemAnswer(refusalCode(code), message));
  }

  #forget(link: WebSocketLink, close: Close): void {
    this.#links.remove(link, close);
    if (this.links.size > 0) return;
    const waiting = this.#onEmpty;
    this.#onEmpty = [];
    for (const resolve of waiting) resolve();
  }
}

/** `normal` is no reason to refuse; who gives it closes for good. */
function refusalCode(code: Close['code']): CodeName {
  return code === 'normal' ? 'unavailable' : code;
}

/** RFC 6455 §4.2.2; HTTP/2 and 3 have no such fields (RFC 8441 §4). */
const UPGRADE = { upgrade: 'websocket', connection: 'Upgrade' };

/** A refusal of the transport's own. */
function refused(code: CodeName, message: string): Admission {
  return { kind: 'refused', close: { code }, message, tellInside: false };
}

/** An admission that is being decided. What comes after its time is not heard. */
class AdmissionWait implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined = undefined;
  alarmAfter: AlarmMarks | undefined = undefined;
  readonly #wheel: Wheel;
  #answer: ((admission: Admission) => void) | undefined;

  constructor(wheel: Wheel, answer: (admission: Admission) => void) {
    this.#wheel = wheel;
    this.#answer = answer;
  }

  settle(admission: Admission): void {
    const answer = this.#answer;
    this.#answer = undefined;
    this.#wheel.cancel(this);
    answer?.(admission);
  }

  onAlarm(): void {
    this.settle(refused('unavailable', 'the decision who is let in took too long'));
  }
}
