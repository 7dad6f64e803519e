/**
 * Extensions: how `permessage-deflate` is agreed on in the handshake (RFC 6455 §9, RFC 7692 §5
 * and §7.1). Pure, and linear in the size of the header.
 */

/** What this server has of compression to offer. */
export interface DeflatePolicy {
  /** Whether a message may refer to what was sent before it on the same connection. */
  readonly context: boolean;
  /** The window's size as a power of two, 9 to 15; the least that both sides know is used. */
  readonly windowBits: number;
}

/** What both sides do from now on. */
export interface DeflateTerms {
  /** Whether the server's messages may refer to earlier ones of its own (RFC 7692 §7.1.1.1). */
  readonly serverContext: boolean;
  /** The same for the client's (RFC 7692 §7.1.1.2). */
  readonly clientContext: boolean;
  /** How far back the server's messages refer at most: a power of two, 9 to 15. */
  readonly serverWindowBits: number;
  /** The same for the client's, 8 to 15. */
  readonly clientWindowBits: number;
}

/** How the offers of a handshake are answered. */
export type Negotiation =
  | {
      readonly kind: 'agreed';
      readonly terms: DeflateTerms;
      /** The value of `Sec-WebSocket-Extensions` in the answer. */
      readonly answer: string;
    }
  /** No extension; the connection works without. */
  | { readonly kind: 'declined' }
  /** The header is none: the handshake fails (RFC 6455 §9.1). */
  | { readonly kind: 'malformed' };

/** One element of the header. */
interface Extension {
  readonly name: string;
  readonly params: readonly Param[];
}

interface Param {
  readonly name: string;
  readonly value: string | undefined;
}

/** One offer of permessage-deflate that is as RFC 7692 §7.1 has it. */
interface Offer {
  serverNoContext: boolean;
  clientNoContext: boolean;
  serverWindowBits: number;
  /** Absent when the client does not let us limit its window. */
  clientWindowBits: number | undefined;
}

const EXTENSION = 'permessage-deflate';
/** Offers that are looked at; nobody has a use for more than two or three. */
const OFFERS_MAX = 16;
const WINDOW_BITS_MAX = 15;
/** zlib makes no raw deflate data for a window of 2^8 bytes, and §7.1.2.1 lets us decline it. */
const SERVER_WINDOW_BITS_MIN = 9;

/** RFC 7692 §7.1.2: a decimal number without leading zeros. */
const WINDOW_BITS = /^(?:[89]|1[0-5])$/;

const DECLINED: Negotiation = { kind: 'declined' };

/** Takes the first offer that can be met: they come in the client's order of preference. */
export function negotiateDeflate(header: string | undefined, policy: DeflatePolicy): Negotiation {
  if (header === undefined) return DECLINED;
  const extensions = parseExtensions(header);
  if (extensions === undefined) return { kind: 'malformed' };
  for (const { name, params } of extensions.slice(0, OFFERS_MAX)) {
    if (name !== EXTENSION) continue;
    const offer = readOffer(params);
    if (offer === undefined || offer.serverWindowBits < SERVER_WINDOW_BITS_MIN) continue;
    const terms = termsOf(offer, policy);
    return { kind: 'agreed', terms, answer: answerTo(offer, terms) };
  }
  return DECLINED;
}

/**
 * Reads the value of `Sec-WebSocket-Extensions` (RFC 6455 §9.1). Empty elements do not count (RFC
 * 9110 §5.6.1); `undefined` when it is no such list.
 */
export function parseExtensions(value: string): readonly Extension[] | undefined {
  const scanner = new Scanner(value);
  const extensions: Extension[] = [];
  do {
    const name = scanner.token();
    if (name === undefined) continue; // An empty element; or something that is neither, see below.
    const params: Param[] = [];
    while (scanner.eat(';')) {
      const param = scanner.token();
      if (param === undefined) return undefined;
      const hasValue = scanner.eat('=');
      const given = hasValue ? scanner.value() : undefined;
      if (hasValue && given === undefined) return undefined;
      params.push({ name: param, value: given });
    }
    extensions.push({ name, params });
  } while (scanner.eat(','));
  return scanner.isAtEnd ? extensions : undefined;
}

/** RFC 7692 §7.1: an offer with anything unknown, twice, or of no such value is declined. */
function readOffer(params: readonly Param[]): Offer | undefined {
  const offer: Offer = {
    serverNoContext: false,
    clientNoContext: false,
    serverWindowBits: WINDOW_BITS_MAX,
    clientWindowBits: undefined,
  };
  const seen = new Set<string>();
  for (const { name, value } of params) {
    if (seen.has(name) || !takeParam(offer, name, value)) return undefined;
    seen.add(name);
  }
  return offer;
}

function takeParam(offer: Offer, name: string, value: string | undefined): boolean {
  switch (name) {
    case 'server_no_context_takeover':
      offer.serverNoContext = true;
      return value === undefined;
    case 'client_no_context_takeover':
      offer.clientNoContext = true;
      return value === undefined;
    case 'server_max_window_bits':
      offer.serverWindowBits = Number(value);
      return value !== undefined && WINDOW_BITS.test(value);
    case 'client_max_window_bits':
      // Without a value it says no more than that we may limit the window (§7.1.2.2).
      offer.clientWindowBits = value === undefined ? WINDOW_BITS_MAX : Number(value);
      return value === undefined || WINDOW_BITS.test(value);
    default:
      return false;
  }
}

function termsOf(offer: Offer, { context, windowBits }: DeflatePolicy): DeflateTerms {
  const { clientWindowBits = WINDOW_BITS_MAX } = offer;
  // A client's window is memory of ours, if it is kept between two messages: who does not let us
  // limit it does without.
  const isBounded = offer.clientWindowBits !== undefined || windowBits === WINDOW_BITS_MAX;
  const clientContext = context && isBounded && !offer.clientNoContext;
  return {
    serverContext: context && !offer.serverNoContext,
    clientContext,
    serverWindowBits: Math.min(offer.serverWindowBits, windowBits),
    clientWindowBits: clientContext ? Math.min(clientWindowBits, windowBits) : clientWindowBits,
  };
}

/** RFC 7692 §7.1: what the offer demands is confirmed; what it leaves open is told if it matters. */
function answerTo(offer: Offer, terms: DeflateTerms): string {
  const params = [EXTENSION];
  if (!terms.serverContext) params.push('server_no_context_takeover');
  if (!terms.clientContext) params.push('client_no_context_takeover');
  if (terms.serverWindowBits < WINDOW_BITS_MAX) {
    params.push(`server_max_window_bits=${terms.serverWindowBits}`);
  }
  // Only a client that names the parameter understands it in an answer (§7.1.2.2).
  if (offer.clientWindowBits !== undefined && terms.clientWindowBits < WINDOW_BITS_MAX) {
    params.push(`client_max_window_bits=${terms.clientWindowBits}`);
  }
  return params.join('; ');
}

/** Reads a header's value from left to right; every read skips blanks before and after. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipBlanks();
  }

  get isAtEnd(): boolean {
    return this.#at === this.#text.length;
  }

  /** True when `character` came next and was read. */
  eat(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    this.#skipBlanks();
    return true;
  }

  /** A token of RFC 9110 §5.6.2. */
  token(): string | undefined {
    const start = this.#at;
    while (TOKEN_CHARACTER.test(this.#text[this.#at] ?? '')) this.#at += 1;
    if (this.#at === start) return undefined;
    const token = this.#text.slice(start, this.#at);
    this.#skipBlanks();
    return token;
  }

  /** A token, which may stand in quotes (RFC 6455 §9.1). */
  value(): string | undefined {
    if (this.#text[this.#at] !== '"') return this.token();
    let value = '';
    for (let at = this.#at + 1; at < this.#text.length; at += 1) {
      if (this.#text[at] === '"') {
        this.#at = at + 1;
        this.#skipBlanks();
        return value === '' ? undefined : value;
      }
      if (this.#text[at] === '\\') at += 1;
      const character = this.#text[at] ?? '';
      if (!TOKEN_CHARACTER.test(character)) return undefined;
      value += character;
    }
    return undefined;
  }

  #skipBlanks(): void {
    while (this.#text[this.#at] === ' ' || this.#text[this.#at] === '\t') this.#at += 1;
  }
}

const TOKEN_CHARACTER = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/;
