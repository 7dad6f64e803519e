/**
 * `trunkline.v1.json`: text frames, each one or more JSON objects divided by line feeds
 * ([WS-1]).
 */
import { decodeCommand } from './commands.ts';
import type { Decoded } from './commands.ts';
import { CodedError } from './codes.ts';
import type { ServerFrame } from './replies.ts';

/** The WebSocket subprotocol token. */
export const JSON_SUBPROTOCOL = 'trunkline.v1.json';

/** Commands that one text frame may carry: an error is dearer than the two bytes that cause it. */
export const COMMANDS_PER_FRAME_MAX = 1000;

/**
 * Reads the commands of one text frame, in order. Blank lines are nothing; an empty frame is no
 * command. Over {@link COMMANDS_PER_FRAME_MAX} nothing is read and `too_large` stands for all.
 */
export function decodeCommands(frame: string): Decoded[] {
  if (!frame.includes('\n')) return frame.trim() === '' ? [] : [decodeCommand(frame)];
  // A pretty-printed command spans lines: tried as one object first, as `fetch` habits have it.
  if (isOneObject(frame)) return [decodeCommand(frame)];
  const lines = frame.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > COMMANDS_PER_FRAME_MAX) {
    const message = `a frame carries at most ${COMMANDS_PER_FRAME_MAX} commands, got ${lines.length}`;
    return [{ ok: false, error: new CodedError('too_large', message) }];
  }
  return lines.map((line) => decodeCommand(line));
}

/** Reads what the server sent in one text frame. @throws {SyntaxError} when it is not JSON. */
export function decodeServerFrames(frame: string): ServerFrame[] {
  return frame
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ServerFrame);
}

function isOneObject(frame: string): boolean {
  try {
    JSON.parse(frame);
    return true;
  } catch {
    return false;
  }
}
