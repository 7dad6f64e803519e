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
  readonly offset: number;
  readonly epoch: string;
  readonly time: number;
  readonly data?: unknown;
  readonly bytes?: string;
  readonly contentType?: string;
  readonly event?: string;
  readonly from?: Sender;
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
  | {
      readonly type: 'subscribed';
      readonly id: CommandId;
      readonly channel: string;
      readonly position: string;
      readonly recovered?: boolean;
      readonly gap?: Gap;
    }
  | { readonly type: 'unsubscribed'; readonly id: CommandId; readonly channel: string }
  | { readonly type: 'unsubscribed'; readonly channel: string; readonly code: CodeName }
  | {
      readonly type: 'published';
      readonly id: CommandId;
      readonly channel: string;
      readonly offset: number;
      readonly epoch: string;
      readonly position: string;
    }
  | { readonly type: 'refreshed'; readonly id: CommandId; readonly expires: number }
  | { readonly type: 'pong' }
  | {
      readonly type: 'gap';
      readonly channel: string;
      readonly gap: Gap;
      readonly position: string;
    }
  | { readonly type: 'goaway'; readonly within: number; readonly endpoint?: string }
  | ErrorFrame
  | ({ readonly type: 'message' } & WireMessage)
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
 * @param type with `true`, begins with `"type":"message"` as a push does.
 */
export function encodeMessage(
  channel: string,
  epoch: string,
  message: Message,
  type: boolean,
): string {
  const { event, from } = message;
  let text = type ? '{"type":"message","channel":' : '{"channel":';
  text += `${JSON.stringify(channel)},"offset":${message.offset},"epoch":"${epoch}"`;
  text += `,"time":${message.time},${payloadMembers(message)}`;
  if (event !== undefined) text += `,"event":${JSON.stringify(event)}`;
  if (from !== undefined) text += `,"from":${JSON.stringify(from)}`;
  return `${text}}`;
}
