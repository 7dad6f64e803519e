/**
 * `POST /v1/publish`: one message, one message to several channels, or a batch; or, with
 * `?channel=` and a content type other than JSON, the body itself as the payload.
 */
import {
  CodedError,
  contentTypeFault,
  decodePublishBody,
  decodeUtf8,
  eventFault,
  formatPosition,
  isJsonContentType,
  TEXT_LIMITS,
  TTL_MAX,
} from '@trunkline/wire';
import type { PublishRequest as BodyElement, Sender } from '@trunkline/wire';
import type { HttpAnswer, HttpRequest } from '../http/request.ts';
import type { Caller } from '../hub/hub-types.ts';
import { errorFrame, jsonAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { show } from './query.ts';
import type { Query } from './query.ts';

const BYTES_TYPE = 'application/octet-stream';

/** Where a message went: the answer to a publish, word for word. */
type PublishedFields =
  | {
      readonly channel: string;
      readonly offset: number;
      readonly epoch: string;
      readonly position: string;
    }
  | { readonly channel: string; readonly volatile: true };

/** Publishes what the body holds and answers when it is in the log. */
export async function publish(context: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const work = await readWork(call.request, call.query, context.options.bodySizeMax);
  if (Array.isArray(work)) {
    const answers = await Promise.all(work.map((element) => tryElement(context, call, element)));
    return jsonAnswer(JSON.stringify(answers));
  }
  return jsonAnswer(JSON.stringify(await publishElement(context, call, work)));
}

/**
 * For a publish that was refused: whether it may have been stored all the same. The hub says so
 * where it knows; what it was never given is not stored.
 */
export function withStored(error: CodedError): CodedError {
  if (error.stored !== undefined) return error;
  const stored = error.code === 'internal' || error.code === 'unavailable' ? 'unknown' : false;
  const { retryAfter } = error;
  return new CodedError(error.code, error.message, {
    stored,
    cause: error,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/** An element of a batch fails alone. All are begun in order, which is the order of offsets. */
async function tryElement(
  context: ApiContext,
  call: ApiCall,
  element: BodyElement | CodedError,
): Promise<unknown> {
  try {
    if (element instanceof CodedError) throw element;
    return await publishElement(context, call, element);
  } catch (error) {
    return elementError(context, error);
  }
}

async function publishElement(
  context: ApiContext,
  call: ApiCall,
  { channel, channels, ...draft }: BodyElement,
): Promise<unknown> {
  const from = senderOf(call.caller);
  const message = from === undefined ? draft : { ...draft, from };
  const one = async (name: string): Promise<PublishedFields> => {
    const position = await context.hub.publish(call.caller, name, message);
    if (position === undefined) return { channel: name, volatile: true };
    const { offset, epoch } = position;
    return { channel: name, offset, epoch, position: formatPosition(position) };
  };
  if (channel !== undefined) return one(channel);
  return Promise.all(
    (channels ?? []).map((name) =>
      one(name).catch((error: unknown) => elementError(context, error)),
    ),
  );
}

/** An application speaks for itself: its messages are from no session. */
function senderOf({ identity, session }: Caller): Sender | undefined {
  if (identity.kind === 'server') return undefined;
  return { ...(identity.user === undefined ? {} : { user: identity.user }), session };
}

function elementError({ log }: ApiContext, error: unknown): unknown {
  const known = error instanceof CodedError ? error : undefined;
  if (known === undefined || known.code === 'internal') log.error({ error }, 'a publish failed');
  return errorFrame(withStored(known ?? new CodedError('internal', 'a publish failed')));
}

async function readWork(
  request: HttpRequest,
  query: Query,
  bodySizeMax: number,
): Promise<BodyElement | (BodyElement | CodedError)[]> {
  const key = idempotencyKey(request);
  const contentType = request.headers['content-type'] ?? '';
  if (query.has('channel')) {
    if (isJsonContentType(contentType)) {
      throw bad('with a JSON body the channel stands in the body, not in the query');
    }
    const fields = rawFields(query, contentType, key);
    return { ...fields, payload: await request.body(bodySizeMax) };
  }
  const json = decodeUtf8(await request.body(bodySizeMax));
  if (json === undefined) throw bad('the body must be JSON in UTF-8; for bytes give ?channel=');
  const work = decodePublishBody(json);
  if (key === undefined) return work;
  if (Array.isArray(work)) {
    throw bad('in a batch each element has its own key: Idempotency-Key is for one publish');
  }
  return { ...work, key: sameKey(work.key, key) };
}

/** Everything but the payload of a raw publish, from the query and headers. */
function rawFields(
  query: Query,
  contentType: string,
  headerKey: string | undefined,
): Omit<BodyElement, 'payload'> {
  const type = contentType === '' ? BYTES_TYPE : contentType;
  const typeFault = contentTypeFault(type);
  if (typeFault !== undefined) throw bad(`Content-Type ${typeFault}, got ${show(type)}`);
  const event = query.text('event');
  const fault = event === undefined ? undefined : eventFault(event);
  if (fault !== undefined) throw bad(`event ${fault}, got ${show(event ?? '')}`);
  const queryKey = checkedKey('key', query.text('key'));
  const key = headerKey === undefined ? queryKey : sameKey(queryKey, headerKey);
  const slot = query.text('slot');
  if (slot !== undefined && slot.length > TEXT_LIMITS.slot) {
    throw bad(`slot must have at most ${TEXT_LIMITS.slot} characters, got ${slot.length}`);
  }
  const ttl = query.whole('ttl', { min: 1, max: TTL_MAX });
  return {
    channel: query.channel(),
    contentType: type,
    ...(query.flag('retain') ? { retain: true } : {}),
    ...(slot === undefined ? {} : { slot }),
    ...(ttl === undefined ? {} : { ttl }),
    ...(event === undefined ? {} : { event }),
    ...(key === undefined ? {} : { key }),
  };
}

function idempotencyKey(request: HttpRequest): string | undefined {
  return checkedKey('Idempotency-Key', request.headers['idempotency-key']);
}

function checkedKey(place: string, key: string | undefined): string | undefined {
  if (key === '') throw bad(`${place} must not be empty`);
  if (key !== undefined && key.length > TEXT_LIMITS.key) {
    throw bad(`${place} must have at most ${TEXT_LIMITS.key} characters, got ${key.length}`);
  }
  return key;
}

/** The key of the header, unless another was given beside it. */
function sameKey(given: string | undefined, header: string): string {
  if (given !== undefined && given !== header) {
    throw bad(`key and Idempotency-Key differ: ${show(given)} and ${show(header)}`);
  }
  return header;
}

function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}
