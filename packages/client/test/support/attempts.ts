/** Attempts: a sink that writes down what it is told, and the other end of a WebSocket. */
import { json } from '../../src/encodings/json.ts';
import type { Ending } from '../../src/ending.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../../src/events.ts';
import type {
  Attempt,
  AttemptSink,
  Target,
  Welcome,
  Wish,
} from '../../src/transports/transport.ts';
import { websocket } from '../../src/transports/websocket.ts';
import { fakePlatform, wireMessage } from './fakes.ts';
import type { FakePlatform, FakeSocket } from './fakes.ts';

/** A sink that has wishes and keeps all that it is told. */
export class RecordingSink implements AttemptSink {
  readonly wishes = new Map<string, Wish>();
  readonly welcomes: Welcome[] = [];
  readonly openings: OpenEvent[] = [];
  readonly messages: ReceivedMessage[] = [];
  readonly events: (GapEvent | PresenceEvent | SnapshotEvent)[] = [];
  readonly refusals: (readonly [string, Error])[] = [];
  readonly endings: Ending[] = [];
  /** What happens on being told. */
  onTold: (word: string) => void = () => {};
  readonly #words: string[] = [];

  constructor(...wishes: readonly (string | Wish)[]) {
    for (const wish of wishes) this.want(wish);
  }

  want(wish: string | Wish, key?: string): void {
    const whole = typeof wish === 'string' ? { filter: wish } : wish;
    this.wishes.set(key ?? whole.filter, whole);
  }

  /** What was told since the last call, as short words. */
  told(): string[] {
    return this.#words.splice(0);
  }

  keys(): string[] {
    return [...this.wishes.keys()];
  }

  wish(key: string): Wish | undefined {
    return this.wishes.get(key);
  }

  onReady(welcome: Welcome): void {
    this.welcomes.push(welcome);
    this.#tell('ready');
  }

  onOpen(opening: OpenEvent, key: string): void {
    this.openings.push(opening);
    const place = opening.position ?? opening.mark ?? 'volatile';
    this.#tell(`open ${key} ${place}`);
  }

  onMessage(message: ReceivedMessage, keys: readonly string[]): void {
    this.messages.push(message);
    this.#tell(`${message.channel} ${message.offset ?? '-'}${toOthers(message.channel, keys)}`);
  }

  onGap(gap: GapEvent, keys: readonly string[]): void {
    this.events.push(gap);
    this.#tell(`gap ${gap.channel} ${gap.position}${toOthers(gap.channel, keys)}`);
  }

  onMark(keys: readonly string[], mark: string): void {
    this.#tell(`mark ${keys.join()} ${mark}`);
  }

  onExpired(channel: string, position: string): void {
    this.#tell(`expired ${channel} ${position}`);
  }

  onPresence(event: PresenceEvent): void {
    this.events.push(event);
    this.#tell(`${event.kind} ${event.channel}`);
  }

  onSnapshot(event: SnapshotEvent): void {
    this.events.push(event);
    this.#tell(`snapshot ${event.channel} ${event.position}`);
  }

  onRefused(key: string, error: Error): void {
    this.refusals.push([key, error]);
    this.#tell(`refused ${key}`);
  }

  onEnd(ending: Ending): void {
    this.endings.push(ending);
    this.#tell(ending.kind);
  }

  room(): Promise<void> {
    return Promise.resolve();
  }

  #tell(word: string): void {
    this.#words.push(word);
    this.onTold(word);
  }
}

/** What it is told for, where that is not the name of its channel. */
function toOthers(channel: string, keys: readonly string[]): string {
  return keys.join() === channel ? '' : ` for ${keys.join()}`;
}

/** An attempt over a WebSocket, and the server that the test plays. */
export interface Dialed {
  readonly platform: FakePlatform;
  readonly sink: RecordingSink;
  readonly attempt: Attempt;
  readonly socket: FakeSocket;
  /** The commands that were sent since the last call, as short words with their ids. */
  said(): string[];
  /** Answers the command with this id. */
  answer(id: number, fields: object): void;
  /** Answers the last subscribe to a filter. */
  open(filter: string, fields?: object): void;
  /** Refuses the last command about a filter. */
  refuse(filter: string, code: string, others?: object): void;
}

/** Dials. The sink's wishes are told at the welcome. */
export function dial(sink = new RecordingSink(), target: Partial<Target> = {}): Dialed {
  const platform = fakePlatform();
  const whole = { url: 'http://server.example', encoding: json, ...target };
  const attempt = websocket.open(whole, sink, platform);
  const socket = platform.sockets[0];
  if (socket === undefined) throw new Error('nothing was dialed');
  let seen = 0;
  const answer = (id: number, fields: object): void => socket.receive({ id, ...fields });
  const askedOf = (filter: string): Record<string, unknown> => {
    const command = socket.sent.findLast(({ channel }) => channel === filter);
    if (command === undefined) throw new Error(`nothing was asked of ${filter}`);
    const { id, as } = command;
    return { id, channel: filter, as };
  };
  return {
    ...{ platform, sink, attempt, socket, answer },
    said() {
      const sent = socket.sent.slice(seen);
      seen = socket.sent.length;
      return sent.map(toWord);
    },
    open: (filter, fields = { position: 'e:0' }) =>
      socket.receive({ type: 'subscribed', ...askedOf(filter), ...fields }),
    refuse: (filter, code, others = {}) =>
      socket.receive({ type: 'error', id: askedOf(filter)['id'], code, message: 'no', ...others }),
  };
}

/** Dials without a token and is welcomed. */
export function welcomed(sink = new RecordingSink(), welcome: object = {}): Dialed {
  const dialed = dial(sink);
  dialed.socket.open();
  dialed.socket.receive({ type: 'welcome', session: 's', ping: 25_000, ...welcome });
  return dialed;
}

/** Reads these filters, all of them open and nothing told yet. */
export function reading(...filters: string[]): Dialed {
  const dialed = welcomed(new RecordingSink(...filters));
  for (const filter of filters) {
    dialed.open(filter, /[+#]/.test(filter) ? { mark: '~0' } : { position: 'e:0' });
  }
  dialed.said();
  dialed.sink.told();
  return dialed;
}

/** Lets what was revised be said. */
export function turn({ platform }: Dialed): Promise<void> {
  return platform.clock.settle();
}

/** A push about channel `a`, or the one that is named. */
export function push(type: string, others: object = {}): object {
  return { type, channel: 'a', ...others };
}

/** The push of a message. */
export function messagePush(channel: string, offset: number, others: object = {}): object {
  return { type: 'message', ...wireMessage(offset), channel, ...others };
}

function toWord({ type, id, channel, as, after }: Record<string, unknown>): string {
  return [type, id, channel, as === undefined ? undefined : `as ${Number(as)}`, after]
    .filter((part) => typeof part === 'string' || typeof part === 'number')
    .join(' ');
}
