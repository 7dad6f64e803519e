/**
 * `GET /v1/poll`: short and long polling, the same read with a different patience. Nothing is kept
 * between two polls: the positions and the mark in the answer are all a client needs to go on.
 */
import { hash } from 'node:crypto';
import { formatPosition } from '@trunkline/wire';
import { matchesEtag } from '../http/etag.ts';
import type { HttpAnswer, HttpRequest } from '../http/request.ts';
import type { ChannelRead, Caller, ReadRequest, ReadResult, Verdict } from '../hub/hub-types.ts';
import { snapshotMembers } from '../hub/snapshots.ts';
import { prefersBinary } from './accept.ts';
import { pageAnswer, VARY } from './answers.ts';
import type { Page } from './answers.ts';
import type { ApiCall, ApiContext } from './call.ts';
import { READ_LIMIT } from './config.ts';
import { startsOf } from './starts.ts';

/** Answers what is new in the channels asked for. */
export async function poll(context: ApiContext, call: ApiCall): Promise<HttpAnswer> {
  const { request, query } = call;
  const waitMs = query.seconds('wait', context.options.pollWaitMsMax) ?? 0;
  const presence = query.flag('presence');
  const read = {
    channels: startsOf(query, request, query.filters()),
    countMax: query.whole('limit', { min: 1, max: READ_LIMIT.max }) ?? READ_LIMIT.default,
    ...(presence ? { presence } : {}),
    ...(query.flag('snapshot') ? { snapshot: true } : {}),
  };
  // [PRES-11] Whoever hands its session back is the member that it was.
  const given = query.word('session');
  const session = given ?? call.caller.session;
  const caller: Caller = presence ? { ...call.caller, session } : call.caller;
  const known = { ...call, caller };
  const members = presence ? `,"session":"${session}"` : '';
  if (waitMs === 0) {
    return shortAnswer(request, await context.hub.read(caller, { ...read, waitMs }), members);
  }
  const boundedMs = boundedWait(context, caller, waitMs);
  const result = await longPoll(context, known, { ...read, waitMs: boundedMs });
  return pageAnswer(toPage(partsOf(result), result, members), prefersBinary(request));
}

async function longPoll(
  context: ApiContext,
  { request, caller }: ApiCall,
  read: ReadRequest,
): Promise<ReadResult> {
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
    return await hub.read(caller, {
      ...read,
      onWait(cancel) {
        cancelWait = cancel;
        if (gone) cancel();
      },
    });
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
  /** Members that are only there where there is something to say, each with a comma before it. */
  readonly others: string;
  /**
   * Not told, but two answers may differ in it alone: where messages begin, and how many of them
   * have not expired.
   */
  readonly begins: string;
}

function partsOf({ channels, patterns, volatile, more }: ReadResult): Parts {
  // Of what patterns found only losses are told by name.
  const named = channels.filter(({ isFound, gap }) => isFound !== true || gap !== undefined);
  const told = [...named.map((read) => [read.channel, toTold(read)] as const), ...patterns];
  const snapshots = channels.flatMap(({ channel, snapshot }) =>
    snapshot === undefined ? [] : [[channel, `{${snapshotMembers(snapshot)}}`] as const],
  );
  const starts = channels.flatMap(({ channel, begin }) =>
    begin === undefined ? [] : [[channel, JSON.stringify(formatPosition(begin))] as const],
  );
  return {
    positions: toObject(
      channels.map(({ channel, end }) => [channel, JSON.stringify(formatPosition(end))]),
    ),
    recovered: toObject(told.map(([name, { recovered }]) => [name, JSON.stringify(recovered)])),
    gaps: toObject(told.map(([name, { gap }]) => [name, JSON.stringify(gap)])),
    others:
      (starts.length === 0 ? '' : `,"starts":${toObject(starts)}`) +
      (snapshots.length === 0 ? '' : `,"snapshots":${toObject(snapshots)}`) +
      (volatile.length === 0 ? '' : `,"volatile":${JSON.stringify(volatile)}`) +
      (more ? ',"more":true' : ''),
    begins: channels.map(beginOf).join(),
  };
}

function toTold({ isFound, recovered, gap }: ChannelRead): Pick<Verdict, 'recovered' | 'gap'> {
  const told = gap === undefined ? {} : { gap };
  return isFound === true || recovered === undefined ? told : { ...told, recovered };
}

function beginOf({ position, messages }: ChannelRead): string {
  return `${formatPosition(position)} ${messages.length}`;
}

/** An object by name; made as text, because a channel may be called `__proto__`. */
function toObject(members: readonly (readonly [string, string | undefined])[]): string {
  const written = members.flatMap(([name, value]) =>
    value === undefined ? [] : [`${JSON.stringify(name)}:${value}`],
  );
  return `{${written.join()}}`;
}

function toPage(parts: Parts, { channels, passing, mark }: ReadResult, members: string): Page {
  const { positions, recovered, gaps, others } = parts;
  return {
    members:
      `"positions":${positions}${mark === undefined ? '' : `,"mark":${JSON.stringify(mark)}`}` +
      `,"recovered":${recovered},"gaps":${gaps}${others}${members}`,
    runs: [
      ...channels.map(({ channel, end, messages }) => ({ channel, epoch: end.epoch, messages })),
      ...passing,
    ],
  };
}

/**
 * A short poll's answer, or 304 when the client has it [POLL-4]. The tag is weak: the mark moves
 * with other channels, but an older one, with the positions it came with, is as good to go on from.
 * Only where the mark is all there is to go on from, and nothing of before it was asked for, an
 * older one would give what the client did not ask for.
 *
 * @param members further ones, as JSON text.
 */
function shortAnswer(request: HttpRequest, result: ReadResult, members: string): HttpAnswer {
  const parts = partsOf(result);
  // Within one epoch an offset is one message for ever: positions tell the messages.
  const { begins, positions, recovered, gaps, others } = parts;
  const binary = prefersBinary(request);
  const isAnew = [...result.patterns.values()].some(({ recovered: told }) => told !== true);
  const place = isAnew ? result.mark : '';
  const told = [begins, positions, recovered, gaps, others, members, place, binary];
  const etag = `W/"${hash('sha256', JSON.stringify(told), 'base64url')}"`;
  // Kept by the client alone and asked for again each time, or `If-None-Match` had no use.
  const headers = { etag, 'cache-control': 'private, no-cache', ...VARY };
  if (matchesEtag(request.headers['if-none-match'], etag)) return { status: 304, headers };
  return pageAnswer(toPage(parts, result, members), binary, headers);
}
