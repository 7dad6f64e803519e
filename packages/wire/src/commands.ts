/**
 * Commands: what a client sends over a session, and how untrusted JSON becomes one ([CMD-1]).
 */
import { CodedError } from './codes.ts';
import {
  asCoded,
  asFields,
  bad,
  channelName,
  channelOrPattern,
  optional,
  optionalCount,
  optionalFlag,
  optionalNumberApart,
  optionalText,
  parseJson,
  show,
  TEXT_LIMITS,
} from './fields.ts';
import { publishFields } from './publish.ts';
import type { PublishFields } from './publish.ts';

/** A number the client chose; echoed in the reply. */
export type CommandId = number;

/** Everything a client may ask for, by `type`. */
export type Command =
  | {
      readonly type: 'hello';
      readonly id?: CommandId;
      readonly token?: string;
      readonly resume?: string;
      readonly client?: string;
    }
  | {
      readonly type: 'subscribe';
      readonly id: CommandId;
      readonly channel: string;
      readonly after?: string;
      readonly last?: number;
      readonly partial?: boolean;
      /** Asks to be told of joins and leaves. */
      readonly presence?: boolean;
      /** False leaves out what this session itself publishes. */
      readonly echo?: boolean;
      /** Asks for the snapshot where the resume is not recovered. */
      readonly snapshot?: boolean;
      /** Stands apart from the session's other subscriptions, under this number ([APART-1]). */
      readonly as?: number;
    }
  | {
      readonly type: 'unsubscribe';
      readonly id: CommandId;
      readonly channel: string;
      readonly as?: number;
    }
  | ({
      readonly type: 'publish';
      readonly id?: CommandId;
      readonly channel: string;
    } & PublishFields)
  | {
      readonly type: 'history';
      readonly id: CommandId;
      readonly channel: string;
      readonly after?: string;
      readonly before?: string;
      readonly last?: number;
      readonly limit?: number;
    }
  | {
      readonly type: 'presence';
      readonly id: CommandId;
      readonly channel: string;
      readonly limit?: number;
      /** `next` of the page before. */
      readonly after?: string;
    }
  | { readonly type: 'refresh'; readonly id: CommandId; readonly token: string }
  | { readonly type: 'ping' };

/** A command, or why there is none: answered by `id` where one could be read. */
export type Decoded =
  | { readonly ok: true; readonly command: Command }
  | { readonly ok: false; readonly id?: CommandId; readonly error: CodedError };

/**
 * Reads one command from JSON text.
 *
 * @returns never throws: a malformed command becomes an error with the id it carried, if any.
 */
export function decodeCommand(json: string): Decoded {
  let fields: Record<string, unknown>;
  try {
    fields = asFields(parseJson(json));
  } catch (error) {
    return { ok: false, error: asCoded(error) };
  }
  try {
    return { ok: true, command: toCommand(json, fields) };
  } catch (error) {
    const id = fields['id'];
    return {
      ok: false,
      ...optional('id', isCommandId(id) ? id : undefined),
      error: fields['type'] === 'publish' ? notStored(asCoded(error)) : asCoded(error),
    };
  }
}

/** The refusal of a publish that was never begun: it says that nothing was stored ([PUB-4]). */
export function notStored({ code, message }: CodedError): CodedError {
  return new CodedError(code, message, { stored: false });
}

function toCommand(json: string, fields: Record<string, unknown>): Command {
  const type = fields['type'];
  if (type === 'ping') return { type };
  if (type === 'publish') return publishCommand(json, fields);
  if (type === 'hello') {
    return {
      type,
      ...optional('id', fields['id'] === undefined ? undefined : commandId(fields)),
      ...optional('token', optionalText(fields, 'token', TEXT_LIMITS.token)),
      ...optional('resume', optionalText(fields, 'resume', TEXT_LIMITS.token)),
      ...optional('client', optionalText(fields, 'client', 256)),
    };
  }
  switch (type) {
    case 'subscribe':
      return {
        type,
        id: commandId(fields),
        channel: channelOrPattern(fields['channel']),
        ...optional('after', optionalText(fields, 'after', TEXT_LIMITS.place)),
        ...optional('last', optionalCount(fields, 'last')),
        ...optional('partial', optionalFlag(fields, 'partial')),
        ...optional('presence', optionalFlag(fields, 'presence')),
        ...optional('echo', optionalFlag(fields, 'echo')),
        ...optional('snapshot', optionalFlag(fields, 'snapshot')),
        ...optional('as', optionalNumberApart(fields)),
      };
    case 'unsubscribe':
      return {
        type,
        id: commandId(fields),
        channel: channelOrPattern(fields['channel']),
        ...optional('as', optionalNumberApart(fields)),
      };
    case 'history':
      return {
        type,
        id: commandId(fields),
        channel: channelName(fields['channel']),
        ...optional('after', optionalText(fields, 'after', TEXT_LIMITS.place)),
        ...optional('before', optionalText(fields, 'before', TEXT_LIMITS.place)),
        ...optional('last', optionalCount(fields, 'last')),
        ...optional('limit', optionalCount(fields, 'limit')),
      };
    case 'presence':
      return {
        type,
        id: commandId(fields),
        channel: channelName(fields['channel']),
        ...optional('limit', optionalCount(fields, 'limit')),
        ...optional('after', optionalText(fields, 'after', TEXT_LIMITS.place)),
      };
    case 'refresh': {
      const token = optionalText(fields, 'token', TEXT_LIMITS.token);
      if (token === undefined) throw bad('token must be a string');
      return { type, id: commandId(fields), token };
    }
    default:
      throw bad(`type must be a command, got ${show(type)}`);
  }
}

function publishCommand(json: string, fields: Record<string, unknown>): Command {
  const channel = channelName(fields['channel']);
  const publish = publishFields(json, fields);
  if (fields['id'] === undefined) return { ...publish, type: 'publish', channel };
  return { ...publish, type: 'publish', channel, id: commandId(fields) };
}

function commandId(fields: Record<string, unknown>): CommandId {
  const id = fields['id'];
  if (!isCommandId(id)) throw bad(`id must be a whole number ≥ 0, got ${show(id)}`);
  return id;
}

function isCommandId(id: unknown): id is CommandId {
  return typeof id === 'number' && Number.isSafeInteger(id) && id >= 0;
}
