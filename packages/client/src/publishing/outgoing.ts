/** Outgoing: what the application publishes, as the JSON members of a publish. Pure. */
import { CodedError, encodeBase64, oneLine } from '@trunkline/wire';

/**
 * What can be published: a JSON value; text, where `contentType` is not JSON; bytes, which are an
 * ArrayBuffer or any view of one; or a {@link JsonSource}.
 */
export type Payload = NonNullable<unknown> | null;

/** JSON text that is published as it was written, so that large numbers survive. */
export class JsonSource {
  readonly source: string;

  constructor(source: string) {
    this.source = source;
  }
}

/** What may be said of a message that is sent without an answer. */
export interface SendOptions {
  /** Volatile channels: of those in one slot a slow reader gets only the newest. */
  readonly slot?: string | undefined;
  /** A name for the kind of message. */
  readonly event?: string | undefined;
  /** Absent means JSON, and `application/octet-stream` for bytes. */
  readonly contentType?: string | undefined;
}

/** What may be said of a message that is published. */
export interface PublishOptions extends SendOptions {
  /** An idempotency key of the application's own; else one is made. [PUB-3] */
  readonly key?: string | undefined;
  /** Keeps it as the channel's retained message. */
  readonly retain?: boolean | undefined;
  /** Milliseconds after which it is not delivered any more, from when the server has it. */
  readonly ttl?: number | undefined;
  /** Gives the publish up; without the outbox only one that was not begun. */
  readonly signal?: AbortSignal | undefined;
  /**
   * False: it is sent once, and fails when that fails or when the server is not reached. For the
   * outbox; without it all is sent once, and waits until the server is reached.
   */
  readonly retry?: boolean | undefined;
}

/**
 * The JSON members of a publish on one line, `"channel":…,"data":…`, but for its key, which the
 * outbox adds.
 *
 * @throws {CodedError} `bad_request`, not stored, when the data can't be published.
 */
export function toMembers(channel: string, data: unknown, options: PublishOptions = {}): string {
  const { contentType, event, retain, slot, ttl } = options;
  const said = JSON.stringify({ channel, contentType, event, retain, slot, ttl }).slice(1, -1);
  return `${said},${payloadMember(data, contentType)}`;
}

/** The same with an idempotency key, if there is one. */
export function withKey(members: string, key: string | undefined): string {
  return key === undefined ? members : `${members},"key":${JSON.stringify(key)}`;
}

function payloadMember(data: unknown, contentType = 'application/json'): string {
  if (ArrayBuffer.isView(data)) {
    return `"bytes":"${encodeBase64(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}"`;
  }
  const kind = kindOf(data);
  if (kind === 'ArrayBuffer') {
    return `"bytes":"${encodeBase64(new Uint8Array(data as ArrayBuffer))}"`;
  }
  const isJson = /^application\/json\b/i.test(contentType); // [PUB-1]
  let got: unknown = `a value of type ${kind}`;
  try {
    if (isJson || typeof data === 'string') {
      const text = data instanceof JsonSource ? checked(data) : JSON.stringify(data);
      // A function and `undefined` have no JSON, and that of a Blob, a Map or a promise says nothing.
      const isLost = text === undefined || (text === '{}' && kind !== 'object');
      if (!isLost) return `"data":${text}`;
    }
  } catch (error) {
    // A cycle, a BigInt, a `toJSON` that throws, or source that is no JSON.
    got = error;
  }
  const expected = isJson ? 'JSON' : `a string as ${contentType}`;
  throw new CodedError('bad_request', `publish ${expected} or bytes, not ${String(got)}`, {
    stored: false,
    cause: got,
  });
}

/** As `typeof` has it, but with names for what is built in. Not `instanceof`: windows differ. */
function kindOf(data: unknown): string {
  const name = Object.prototype.toString.call(data).slice('[object '.length, -1);
  return typeof data !== 'object' || name === 'Object' ? typeof data : name;
}

/** What is not one JSON text would break out of its member. */
function checked({ source }: JsonSource): string {
  JSON.parse(source);
  return oneLine(source);
}
