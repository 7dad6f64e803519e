/**
 * Port: what a tab and the host of its connection say to each other, as structured clones, all that
 * is said in a turn in one message. A message without a word is the host's first: it listens. Both
 * ends may be in different pages, so each reads what comes
 * as untrusted. Tabs of different versions never meet: see `groupOf`.
 */
import { CodedError } from '@trunkline/wire';
import type { Ending } from '../ending.ts';
import type { Encoding, Frame } from '../encodings/encoding.ts';
import { asObject, parseObject, toCode } from '../events.ts';
import type {
  GapEvent,
  OpenEvent,
  PresenceEvent,
  ReceivedMessage,
  SnapshotEvent,
} from '../events.ts';
import type { Ask, Target, Welcome, Wish } from '../transports/transport.ts';

/** Changes with every word that an older build would not understand. */
export const PORT_VERSION = 1;

/** One end of a way between a tab and a host. What is posted arrives in order, or not at all. */
export interface Port {
  /**
   * After `close`, and where nobody listens any more, it does nothing.
   *
   * @throws where the value can't be cloned.
   */
  post(value: unknown): void;
  /** Begins to hear, once; what came before is not lost where the way keeps it. */
  listen(onValue: (value: unknown) => void): void;
  /** What was posted still arrives; nothing more is heard. Idempotent. */
  close(): void;
}

/** An error as it crosses: a clone of one would lose what makes it ours. */
export interface ErrorWord {
  readonly code: string;
  readonly message: string;
  readonly retryAfter?: number;
  readonly stored?: false | 'unknown';
}

/** An ending as it crosses. */
export type EndingWord =
  | Extract<Ending, { readonly kind: 'lost' }>
  | { readonly kind: 'stale' | 'refused'; readonly error: ErrorWord };

/** What a tab says. */
export type TabWord =
  /** The first word. `lock`: a lock that the tab holds for as long as it wants the port. */
  | {
      readonly kind: 'hello';
      readonly version: number;
      readonly group: string;
      readonly url: string;
      /** `wayOf`. */
      readonly encoding: string;
      readonly token?: string;
      readonly lock?: string;
    }
  /** Reads; in place of the reading `before`, if that is given. */
  | {
      readonly kind: 'read';
      readonly reading: number;
      readonly wish: Wish;
      readonly before?: number;
    }
  | { readonly kind: 'end'; readonly reading: number }
  | { readonly kind: 'ask'; readonly id: number; readonly ask: Ask }
  | { readonly kind: 'send'; readonly members: string }
  /** A newer token, or the answer to `tokenWanted`; absent where the tab has none. */
  | { readonly kind: 'token'; readonly token?: string }
  /** Is answered with `alive`. `server`: a sign of life of the server is looked for, too. */
  | { readonly kind: 'probe'; readonly server?: true }
  /** So many more words of the host were dealt with: it may say as many again. */
  | { readonly kind: 'took'; readonly count: number }
  | { readonly kind: 'bye' };

/** What a host says. */
export type HostWord =
  /** The answer to the tab's; `host` is another one after every change of the host. */
  | { readonly kind: 'hello'; readonly version: number; readonly host: string }
  | { readonly kind: 'ready'; readonly welcome: Welcome }
  | { readonly kind: 'open'; readonly reading: number; readonly opening: OpenEvent }
  | {
      readonly kind: 'message';
      readonly readings: readonly number[];
      readonly message: ReceivedMessage;
    }
  | { readonly kind: 'gap'; readonly readings: readonly number[]; readonly gap: GapEvent }
  | { readonly kind: 'mark'; readonly readings: readonly number[]; readonly mark: string }
  | { readonly kind: 'expired'; readonly channel: string; readonly position: string }
  | { readonly kind: 'presence'; readonly event: PresenceEvent }
  | { readonly kind: 'snapshot'; readonly event: SnapshotEvent }
  /** Another word as JSON, which is nested too deeply for a clone. */
  | { readonly kind: 'deep'; readonly json: string }
  | { readonly kind: 'refused'; readonly reading: number; readonly error: ErrorWord }
  | { readonly kind: 'answer'; readonly id: number; readonly frame: Frame }
  | { readonly kind: 'failed'; readonly id: number; readonly error: ErrorWord }
  | { readonly kind: 'alive' }
  | { readonly kind: 'tokenWanted' }
  /** The last word. */
  | { readonly kind: 'end'; readonly ending: EndingWord };

type Fields = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isSafeInteger(value);
const isNumbers: Check = (value) => Array.isArray(value) && value.every(isNumber);
const isFields: Check = (value) => asObject(value) !== undefined;
const maybe =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
/** An object that has these members. */
const having =
  (members: Readonly<Record<string, Check>>): Check =>
  (value) => {
    const fields = asObject(value);
    return fields !== undefined && hasAll(fields, members);
  };
const isError = having({ code: isText, message: isText });
const ofChannel = having({ channel: isText });

const TAB_WORDS: Readonly<Record<TabWord['kind'], Readonly<Record<string, Check>>>> = {
  hello: {
    version: isNumber,
    group: isText,
    url: isText,
    encoding: isText,
    token: maybe(isText),
    lock: maybe(isText),
  },
  read: { reading: isNumber, wish: having({ filter: isText }), before: maybe(isNumber) },
  end: { reading: isNumber },
  ask: { id: isNumber, ask: having({ kind: isText }) },
  send: { members: isText },
  token: { token: maybe(isText) },
  probe: {},
  took: { count: isNumber },
  bye: {},
};

const HOST_WORDS: Readonly<Record<HostWord['kind'], Readonly<Record<string, Check>>>> = {
  hello: { version: isNumber, host: isText },
  ready: { welcome: isFields },
  open: { reading: isNumber, opening: ofChannel },
  message: { readings: isNumbers, message: ofChannel },
  gap: { readings: isNumbers, gap: having({ channel: isText, position: isText, gap: isFields }) },
  mark: { readings: isNumbers, mark: isText },
  expired: { channel: isText, position: isText },
  presence: { event: ofChannel },
  snapshot: { event: ofChannel },
  deep: { json: isText },
  refused: { reading: isNumber, error: isError },
  answer: { id: isNumber, frame: having({ fields: isFields }) },
  failed: { id: isNumber, error: isError },
  alive: {},
  tokenWanted: {},
  end: { ending: having({ kind: isText }) },
};

function hasAll(fields: Fields, members: Readonly<Record<string, Check>>): boolean {
  return Object.entries(members).every(([name, check]) => check(fields[name]));
}

/** The words of a tab; `undefined` when one is none that this version knows. */
export function parseTabWords(value: unknown): readonly TabWord[] | undefined {
  return isWords(value, TAB_WORDS) ? (value as readonly TabWord[]) : undefined;
}

/** The words of a host; `undefined` when one is none that this version knows. */
export function parseHostWords(value: unknown): readonly HostWord[] | undefined {
  if (!isWords(value, HOST_WORDS)) return undefined;
  const words = (value as readonly HostWord[]).map((word) =>
    word.kind === 'deep' ? parseObject(word.json) : word,
  );
  return isWords(words, HOST_WORDS) ? (words as readonly HostWord[]) : undefined;
}

function isWords(
  value: unknown,
  known: Readonly<Record<string, Readonly<Record<string, Check>>>>,
): boolean {
  if (!Array.isArray(value)) return false;
  return value.every((one: unknown) => {
    const fields = asObject(one);
    const kind = fields?.['kind'];
    if (fields === undefined || typeof kind !== 'string' || !Object.hasOwn(known, kind))
      return false;
    return hasAll(fields, known[kind] ?? {});
  });
}

/** An error as it crosses; what is no error of ours is `internal`. */
export function toErrorWord(error: unknown): ErrorWord {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof CodedError)) return { code: 'internal', message };
  const { code, retryAfter, stored } = error;
  return {
    ...{ code, message },
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(stored === undefined ? {} : { stored }),
  };
}

/** The error that crossed. */
export function fromErrorWord({ code, message, retryAfter, stored }: ErrorWord): CodedError {
  return new CodedError(toCode(code, 'internal'), message, {
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(stored === undefined ? {} : { stored }),
  });
}

/** An ending as it crosses. */
export function toEndingWord(ending: Ending): EndingWord {
  if (ending.kind === 'lost') return ending;
  return { kind: ending.kind, error: toErrorWord(ending.error) };
}

/** The ending that crossed. What is none means that the host can't be talked to any more. */
export function fromEndingWord(word: EndingWord): Ending {
  if (word.kind === 'lost') return word;
  const error = isError(word.error)
    ? fromErrorWord(word.error)
    : new CodedError('internal', 'the host of the shared connection told no reason');
  return word.kind === 'stale' ? { kind: 'stale', error } : { kind: 'refused', error };
}

/**
 * The name under which tabs find each other. It says all in which they must agree, as it stands and
 * not as a hash: with equal hashes of two users, one would read what is the other's.
 *
 * @param name given by the application; all tabs of a name are one user.
 */
export function groupOf({ url, encoding }: Pick<Target, 'url' | 'encoding'>, name: string): string {
  return `trunkline:${JSON.stringify([PORT_VERSION, url, wayOf(encoding), name])}`;
}

/** How an encoding writes, and whether its messages keep the text that they come from. */
export function wayOf(encoding: Encoding): string {
  const keepsSource = encoding.eventOf('{"data":0}').source !== undefined;
  return encoding.subprotocol + (keepsSource ? '+source' : '');
}

/** Gathers what is said in a turn, and posts it as one message. */
export class Batch<Word> {
  readonly #port: Port;
  readonly #onFault: () => void;
  #words: Word[] = [];
  #number = 0;
  #isFaulty = false;

  /** @param onFault something could not be posted: what was said is not whole. At most once. */
  constructor(port: Port, onFault: () => void) {
    this.#port = port;
    this.#onFault = onFault;
  }

  push(word: Word): void {
    if (this.#words.push(word) === 1) queueMicrotask(() => this.flush());
  }

  /** Which batch is being gathered. */
  get number(): number {
    return this.#number;
  }

  /** Posts now. */
  flush(): void {
    const words = this.#words;
    if (words.length === 0) return;
    this.#words = [];
    this.#number += 1;
    try {
      this.#port.post(words);
    } catch {
      if (this.#isFaulty) return;
      this.#isFaulty = true;
      this.#onFault();
    }
  }
}
