/**
 * Replies and pushes: what the server sends over a session ([MSG-5]). A client ignores types
 * and fields that it does not know.
 */
import type { CodeName } from './codes.ts';
import type { CommandId } from './commands.ts';
import { payloadMembers } from './message.ts';
import type { Message, Sender } from './message.ts';
import type { Gap } from './position.ts';

/** What the server allows, told once in the welcome. */
export interface Limits {
  /** Payload bytes of one message. */
  readonly messageBytes: number;
  /** Bytes of one frame from the client. */
  readonly frameBytes: number;
  readonly subscriptions: number;
  /** Commands a second, 0 where no rate is set. */
  readonly commandsPerSecond: number;
  /** How long an idempotency key is remembered. */
  readonly keyWindowMs: number;
}

/** A message as it stands on text transports. */
export interface WireMessage {
  readonly channel: string;
  /** Absent, as `epoch` is, in volatile channels. */
  readonly offset?: number;
  readonly epoch?: string;
  readonly time: number;
  readonly data?: unknown;
  readonly bytes?: string;
  readonly contentType?: string;
  readonly event?: string;
  readonly from?: Sender;
  /** On the last message of a flush to a wildcard subscription: everything up to here was sent. */
  readonly mark?: string;
}

/** One who is present in a channel. */
export interface Member {
  readonly session: string;
  readonly user?: string;
  /** What the token says of the user. */
  readonly info?: unknown;
  /** Milliseconds since 1970. */
  readonly since: number;
}

/** Part of who is present. */
export interface MemberPage {
  readonly members: readonly Member[];
  /** Users, however many sessions they have. */
  readonly count: number;
  /** Where the next page begins. */
  readonly next?: string;
}

/** What an application said the state of a channel is at a position. */
export interface WireSnapshot {
  readonly position: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly data?: unknown;
  readonly bytes?: string;
  readonly contentType?: string;
}

/** What concerns one subscription, which may stand apart from the others of its session. */
interface Numbered {
  /** The number the client gave it ([APART-1]); absent where it does not stand apart. */
  readonly as?: number;
}

/** Everything the server may send over a session, by `type`. */
export type ServerFrame =
  | {
      readonly type: 'welcome';
      readonly id?: CommandId;
      readonly session: string;
      readonly user?: string;
      readonly node: string;
      readonly ping: number;
      readonly resume: string;
      readonly limits: Limits;
    }
  | ({
      readonly type: 'subscribed';
      readonly id: CommandId;
      readonly channel: string;
      /** Of a single channel that is not volatile. */
      readonly position?: string;
      /** Of a wildcard. */
      readonly mark?: string;
      readonly recovered?: boolean;
      readonly gap?: Gap;
      readonly volatile?: true;
      readonly members?: readonly Member[];
      readonly count?: number;
      readonly next?: string;
      /** True when a `snapshot` push follows, of the state at `position`. */
      readonly snapshot?: true;
    } & Numbered)
  | ({
      readonly type: 'unsubscribed';
      readonly id: CommandId;
      readonly channel: string;
    } & Numbered)
  | ({
      readonly type: 'unsubscribed';
      readonly channel: string;
      readonly code: CodeName;
    } & Numbered)
  | {
      readonly type: 'published';
      readonly id: CommandId;
      readonly channel: string;
      readonly offset: number;
      readonly epoch: string;
      readonly position: string;
    }
  | {
      readonly type: 'published';
      readonly id: CommandId;
      readonly channel: string;
      readonly volatile: true;
    }
  | { readonly type: 'refreshed'; readonly id: CommandId; readonly expires: number }
  | { readonly type: 'pong' }
  | ({
      readonly type: 'gap';
      readonly channel: string;
      readonly gap: Gap;
      readonly position: string;
    } & Numbered)
  | ({
      readonly type: 'expired';
      readonly channel: string;
      readonly epoch: string;
      /** First and last offset that were not delivered because their time was over. */
      readonly from: number;
      readonly to: number;
      readonly mark?: string;
    } & Numbered)
  | ({ readonly type: 'mark'; readonly channel: string; readonly mark: string } & Numbered)
  | ({ readonly type: 'snapshot'; readonly channel: string } & Numbered & WireSnapshot)
  | ({
      readonly type: 'join' | 'leave';
      readonly channel: string;
      readonly member: Member;
    } & Numbered)
  | ({
      readonly type: 'presence';
      readonly id?: CommandId;
      readonly channel: string;
    } & Numbered &
      MemberPage)
  | { readonly type: 'goaway'; readonly within: number; readonly endpoint?: string }
  | ErrorFrame
  | ({ readonly type: 'message' } & Numbered & WireMessage)
  | ({ readonly type: 'history'; readonly id: CommandId } & HistoryFields);

/** Ends the command with its `id`; without one it concerns the connection. */
export interface ErrorFrame {
  readonly type: 'error';
  readonly id?: CommandId;
  readonly code: CodeName;
  readonly message: string;
  /** Milliseconds. */
  readonly retryAfter?: number;
  readonly stored?: false | 'unknown';
}

/** A page of history, over a session or HTTP. */
export interface HistoryFields {
  readonly messages: readonly WireMessage[];
  /** After the messages: read on with `after` this. */
  readonly position: string;
  /** The oldest and newest positions retained. */
  readonly oldest: string;
  readonly newest: string;
  readonly more?: boolean;
  readonly gap?: Gap;
}

/**
 * A message as one JSON object on one line, payload embedded as published. Written by hand because
 * the payload's source must not pass through a JSON parser.
 *
 * @param epoch empty for a message of a volatile channel, which has no offset.
 * @param type with `true`, begins with `"type":"message"` as a push does.
 * @param mark what to go on from after this message, where several channels are read.
 * @param as the number of the subscription it is for, where that stands apart.
 */
export function encodeMessage(
  channel: string,
  epoch: string,
  message: Message,
  type: boolean,
  mark?: string,
  as?: number,
): string {
  const { event, from } = message;
  let text = `${type ? '{"type":"message","channel":' : '{"channel":'}${JSON.stringify(channel)}`;
  if (epoch !== '') text += `,"offset":${message.offset},"epoch":"${epoch}"`;
  text += `,"time":${message.time},${payloadMembers(message)}`;
  if (event !== undefined) text += `,"event":${JSON.stringify(event)}`;
  if (from !== undefined) text += `,"from":${JSON.stringify(from)}`;
  if (mark !== undefined) text += `,"mark":"${mark}"`;
  if (as !== undefined) text += `,"as":${as}`;
  return `${text}}`;
}
