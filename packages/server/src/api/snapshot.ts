/** `/v1/snapshot`: what an application says the state of a channel is. [SNAP-1] */
import {
  CodedError,
  contentTypeFault,
  formatPosition,
  isJsonContentType,
  isJsonText,
  parsePosition,
} from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import type { HttpAnswer } from '../http/request.ts';
import { snapshotMembers, SNAPSHOT_BYTES_MAX } from '../hub/snapshots.ts';
import type { Snapshot } from '../hub/snapshots.ts';
import { jsonAnswer } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { show } from './query.ts';
import type { Query } from './query.ts';

/** Answers the snapshot of a channel. */
export async function getSnapshot({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const channel = call.query.channel();
  const snapshot = await hub.beside.snapshot(call.caller, channel);
  if (snapshot === undefined) throw noSnapshot(channel);
  return snapshotAnswer(channel, snapshot);
}

/** Stores the body as the snapshot of a channel at a position. */
export async function putSnapshot({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const { query, caller, request } = call;
  // Asked before a body is read that nobody wants.
  if (caller.identity.kind !== 'server') {
    throw new CodedError('forbidden', 'an API key is needed to put snapshots');
  }
  const channel = query.channel();
  const position = positionOf(query);
  const contentType = contentTypeOf(request.headers['content-type']);
  const payload = await request.body(SNAPSHOT_BYTES_MAX);
  if (contentType === undefined && !isJsonText(payload)) {
    throw bad('the body must be JSON in UTF-8; for anything else say its Content-Type');
  }
  const draft = { position, payload, ...(contentType === undefined ? {} : { contentType }) };
  const { position: stored, time } = await hub.beside.putSnapshot(caller, channel, draft);
  return jsonAnswer(JSON.stringify({ channel, position: formatPosition(stored), time }));
}

/** Removes the snapshot of a channel. */
export async function deleteSnapshot({ hub }: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const channel = call.query.channel();
  if (await hub.beside.deleteSnapshot(call.caller, channel)) return { status: 204, headers: {} };
  throw noSnapshot(channel);
}

function snapshotAnswer(channel: string, snapshot: Snapshot): HttpAnswer {
  return jsonAnswer(`{"channel":${JSON.stringify(channel)},${snapshotMembers(snapshot)}}`);
}

function positionOf(query: Query): Position {
  const text = query.text('position');
  if (text === undefined) throw bad('position is missing: the place in the stream it stands for');
  const position = parsePosition(text);
  if (position === undefined) throw bad(`position must be EPOCH:OFFSET, got ${show(text)}`);
  return position;
}

/** What is JSON has none. */
function contentTypeOf(given: string | undefined): string | undefined {
  if (given === undefined || given === '' || isJsonContentType(given)) return undefined;
  const fault = contentTypeFault(given);
  // What `curl -d` says of everything, and nobody means.
  if (given.startsWith('application/x-www-form-urlencoded')) {
    throw bad(`Content-Type must say what the snapshot is, got ${show(given)}`);
  }
  if (fault === undefined) return given;
  throw bad(`Content-Type ${fault}, got ${show(given)}`);
}

function noSnapshot(channel: string): CodedError {
  return new CodedError('not_found', `there is no snapshot of ${show(channel)}`);
}

function bad(message: string): CodedError {
  return new CodedError('bad_request', message);
}
