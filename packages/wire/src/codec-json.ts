/**
 * `trunkline.v1.json`: text frames, each one or more JSON objects divided by line feeds
 * (PROTOCOL §5).
 */
import { decodeCommand } from './commands.ts';
import type { Decoded } from './commands.ts';
import type { ServerFrame } from './replies.ts';

/** The WebSocket subprotocol token. */
export const JSON_SUBPROTOCOL = 'trunkline.v1.json';

/**
 * Reads the commands of one text frame, in order. Blank lines are nothing; an empty frame is no
 * command.
 */
export function decodeCommands(frame: string): Decoded[] {
  if (!frame.includes('\n')) return frame.trim() === '' ? [] : [decodeCommand(frame)];
  // A pretty-printed command spans lines: tried as one object first, as `fetch` habits have it.
  if (isOneObject(frame)) return [decodeCommand(frame)];
  return frame.split('\n').flatMap((line) => (line.trim() === '' ? [] : [decodeCommand(line)]));
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
