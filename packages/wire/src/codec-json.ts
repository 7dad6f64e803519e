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

const LINE_FEED = '\n';

/**
 * Reads the commands of one text frame, in order. Blank lines are nothing, however many; an empty
 * frame is no command. Over {@link COMMANDS_PER_FRAME_MAX} nothing is read and `too_large` stands
 * for all.
 */
export function decodeCommands(frame: string): Decoded[] {
  if (frame.trim() === '') return [];
  // A pretty-printed command spans lines: tried as one object first, as `fetch` habits have it.
  if (!frame.includes(LINE_FEED) || isOneObject(frame)) return [decodeCommand(frame)];
  const lines = commandLines(frame);
  if (lines.length > COMMANDS_PER_FRAME_MAX) {
    const message = `a frame carries at most ${COMMANDS_PER_FRAME_MAX} commands`;
    return [{ ok: false, error: new CodedError('too_large', message) }];
  }
  return lines.map((line) => decodeCommand(line));
}

/** Lines that are not blank, as far as they are not too many already. */
function commandLines(frame: string): string[] {
  const lines: string[] = [];
  const text = /\S/g; // A megabyte of blank lines is passed over in one step, not line by line.
  while (lines.length <= COMMANDS_PER_FRAME_MAX && text.test(frame)) {
    const start = frame.lastIndexOf(LINE_FEED, text.lastIndex - 1) + 1;
    const end = frame.indexOf(LINE_FEED, text.lastIndex);
    lines.push(frame.slice(start, end < 0 ? frame.length : end));
    if (end < 0) break;
    text.lastIndex = end;
  }
  return lines;
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
