/** Query: the parameters of a request, read strictly: nothing is ever guessed. [HTTP-4] */
import { channelNameFault, CodedError, isWildcard, patternFault } from '@trunkline/wire';
import { CHANNELS_PER_READ_MAX, SEARCH_LENGTH_MAX } from './config.ts';

/** The bounds of a number, both allowed. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

const WHOLE = /^(?:0|[1-9][0-9]{0,15})$/;
const WORD = /^[0-9A-Za-z_-]{1,64}$/;
/** Whole seconds or with at most three decimals. */
const SECONDS = /^(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,3})?$/;

/** The query of one request. Every reader throws `bad_request` and says what was expected. */
export class Query {
  readonly #parameters: URLSearchParams;

  /** @param search as sent, without the question mark. */
  constructor(search: string) {
    if (search.length > SEARCH_LENGTH_MAX) {
      throw bad(`the query must have at most ${SEARCH_LENGTH_MAX} characters`);
    }
    // URLSearchParams replaces what it can't decode, which would be another channel's name.
    if (search.includes('%') && !isDecodable(search)) {
      throw bad('the query must be percent-encoded UTF-8');
    }
    this.#parameters = new URLSearchParams(search);
  }

  has(name: string): boolean {
    return this.#parameters.has(name);
  }

  /** A parameter that may be given once. */
  text(name: string): string | undefined {
    const values = this.#parameters.getAll(name);
    if (values.length > 1) throw bad(`give ${name} once, got it ${values.length} times`);
    return values[0];
  }

  /** A whole number in decimal digits. */
  whole(name: string, { min, max }: Bounds): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = WHOLE.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw bad(`${name} must be a whole number from ${min} to ${max}, got ${show(text)}`);
    }
    return value;
  }

  /** A time in seconds, as milliseconds. */
  seconds(name: string, msMax: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const ms = SECONDS.test(text) ? Math.round(Number(text) * 1000) : Number.NaN;
    if (!(ms <= msMax)) {
      throw bad(`${name} must be a number of seconds from 0 to ${msMax / 1000}, got ${show(text)}`);
    }
    return ms;
  }

  /** A word of letters, digits, `_` and `-`, as the server gives them. */
  word(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined || WORD.test(text)) return text;
    throw bad(`${name} must be 1 to 64 letters, digits, _ or -, got ${show(text)}`);
  }

  /** True for `1` or `true`, false for `0` or `false`, or when it is not given. */
  flag(name: string): boolean {
    const text = this.text(name);
    if (text === undefined || text === '0' || text === 'false') return false;
    if (text === '1' || text === 'true') return true;
    throw bad(`${name} must be 1, true, 0 or false, got ${show(text)}`);
  }

  /** The one channel that `channel` names. */
  channel(): string {
    const name = this.text('channel');
    if (name === undefined) throw bad('channel is missing');
    return checkedChannel(name);
  }

  /** As `channels`, but patterns are channels too. @param min 0 where none need be given. */
  filters(min = 1): string[] {
    return this.#channels(checkedFilter, min);
  }

  /** The channels that one or more `channel` parameters name, each once, in the order given. */
  channels(): string[] {
    return this.#channels(checkedChannel);
  }

  #channels(checked: (name: string) => string, min = 1): string[] {
    const names = new Set(this.#parameters.getAll('channel').map(checked));
    if (names.size < min) throw bad('channel is missing');
    if (names.size > CHANNELS_PER_READ_MAX) {
      throw bad(`one read has at most ${CHANNELS_PER_READ_MAX} channels, got ${names.size}`);
    }
    return [...names];
  }
}

/** What a client sent, in an error message: short and quoted. */
export function show(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function checkedChannel(name: string): string {
  const fault = channelNameFault(name);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(name)}`);
  return name;
}

function checkedFilter(text: string): string {
  if (!isWildcard(text)) return checkedChannel(text);
  const fault = patternFault(text);
  if (fault !== undefined) throw bad(`channel ${fault}, got ${show(text)}`);
  return text;
}

function isDecodable(search: string): boolean {
  try {
    decodeURIComponent(search);
    return true;
  } catch {
    return false;
  }
}

function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}
