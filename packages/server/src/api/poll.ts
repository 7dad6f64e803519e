/**
 * `GET /v1/poll`: short and long polling, the same read with a different patience. Nothing is kept
 * between two polls: the positions in the answer are all a client needs to go on.
 */
import { hash } from 'node:crypto';
import { formatPosition } from '@trunkline/wire';
import type { HttpAnswer, HttpRequest } from '../http/request.ts';
import type { ChannelRead, Caller, ReadRequest, ReadResult } from '../hub/hub-types.ts';
import { prefersBinary } from './accept.ts';
import { pageAnswer, VARY } from './answers.ts';
import type { Page } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { READ_LIMIT } from './config.ts';
import { startsOf } from './starts.ts';

/** Answers what is new in the channels asked for. */
export async function poll(context: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const { request, query, caller } = call;
  const waitMs = query.seconds('wait', context.options.pollWaitMsMax) ?? 0;
  const read = {
    channels: startsOf(query, request, query.channels()),
    countMax: query.whole('limit', { min: 1, max: READ_LIMIT.max }) ?? READ_LIMIT.default,
  };
  if (waitMs === 0) {
    return shortAnswer(request, await context.hub.read(caller, { ...read, waitMs }));
  }
  return longPoll(context, call, { ...read, waitMs: boundedWait(context, caller, waitMs) });
}

async function longPoll(
  context: ApiContext,
  { request, caller }: ApiCall,
  read: ReadRequest,
): Promise<HttpAnswer> {
  const { hub, options, waitingPolls } = context;
  // Rate limits hold neither for applications nor in development.
  const counted = caller.identity.kind !== 'server' && !options.development;
  if (counted) waitingPolls.enter(request.remoteAddress);
  try {
    let gone = false;
    let cancelWait: (() => void) | undefined;
    request.onAbort(() => {
      gone = true;
      cancelWait?.();
    });
    const result = await hub.read(caller, {
      ...read,
      onWait(cancel) {
        cancelWait = cancel;
        if (gone) cancel();
      },
    });
    return pageAnswer(toPage(partsOf(result), result), prefersBinary(request));
  } finally {
    if (counted) waitingPolls.leave(request.remoteAddress);
  }
}

/** No poll outlives its token or keeps a draining node waiting. [POLL-2] */
function boundedWait(context: ApiContext, { identity }: Caller, waitMs: number): number {
  const { clock, readiness } = context;
  if (readiness() === 'draining') return 0;
  if (identity.expiresAt === undefined) return waitMs;
  return Math.max(0, Math.min(waitMs, identity.expiresAt - clock.unixMs()));
}

/** Members of an answer as JSON text. */
interface Parts {
  readonly positions: string;
  readonly recovered: string;
  readonly gaps: string;
  readonly more: boolean;
  /** Where each channel's messages begin; not told, but two answers may differ in it alone. */
  readonly begins: string;
}

function partsOf({ channels }: ReadResult): Parts {
  return {
    positions: toObject(channels, (read) => JSON.stringify(formatPosition(read.end))),
    recovered: toObject(channels, (read) => JSON.stringify(read.recovered)),
    gaps: toObject(channels, (read) => JSON.stringify(read.gap)),
    more: channels.some((read) => read.more),
    begins: channels.map((read) => formatPosition(read.position)).join(),
  };
}

/** An object by channel; made as text, because a channel may be called `__proto__`. */
function toObject(
  channels: readonly ChannelRead[],
  valueOf: (read: ChannelRead) => string | undefined,
): string {
  const members: string[] = [];
  for (const read of channels) {
    const value = valueOf(read);
    if (value !== undefined) members.push(`${JSON.stringify(read.channel)}:${value}`);
  }
  return `{${members.join()}}`;
}

function toPage(parts: Parts, { channels, mark }: ReadResult): Page {
  const { positions, recovered, gaps, more } = parts;
  return {
    members:
      `"positions":${positions}${mark === undefined ? '' : `,"mark":${JSON.stringify(mark)}`}` +
      `,"recovered":${recovered},"gaps":${gaps}${more ? ',"more":true' : ''}`,
    runs: channels.map(({ channel, end, messages }) => ({ channel, epoch: end.epoch, messages })),
  };
}

/**
 * A short poll's answer, or 304 when the client has it [POLL-4]. The tag is weak: the mark moves
 * with other channels, but an older one, with the positions it came with, is as good to go on from.
 */
function shortAnswer(request: HttpRequest, result: ReadResult): HttpAnswer {
  const parts = partsOf(result);
  // Within one epoch an offset is one message for ever: positions tell the messages.
  const { begins, positions, recovered, gaps, more } = parts;
  const binary = prefersBinary(request);
  const identity = JSON.stringify([begins, positions, recovered, gaps, more, binary]);
  const etag = `W/"${hash('sha256', identity, 'base64url')}"`;
  // Kept by the client alone and asked for again each time, or `If-None-Match` had no use.
  const headers = { etag, 'cache-control': 'private, no-cache', ...VARY };
  if (isMatch(request.headers['if-none-match'], etag)) return { status: 304, headers };
  return pageAnswer(toPage(parts, result), binary, headers);
}

/** RFC 9110 §13.1.2, by weak comparison (§8.8.3.2). */
function isMatch(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = etag.replace(/^W\//, '');
  return ifNoneMatch.split(',').some((tag) => tag.trim().replace(/^W\//, '') === opaque);
}
