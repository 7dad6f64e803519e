/** Codec of the native protocol: messages and frames as `trunkline.v1.json` has them. */
import { encodeMessage } from '@trunkline/wire';
import type { CodedError, CommandId, ErrorFrame, ServerFrame } from '@trunkline/wire';
import type { Encoding } from '../../hub/hub-types.ts';

/** A batch is one text frame, one JSON object a line. */
export const nativeJson: Encoding = {
  name: 'trunkline.v1.json',
  text: true,
  encode(runs, mark) {
    const lines: string[] = [];
    for (const run of runs) {
      const { channel, epoch, messages, expired } = run;
      const own = run === runs.at(-1) ? mark : undefined;
      if (expired !== undefined) {
        const last = messages.length === 0 && own !== undefined ? { mark: own } : {};
        lines.push(JSON.stringify({ type: 'expired', channel, epoch, ...expired, ...last }));
      }
      for (const message of messages) {
        const place = message === messages.at(-1) ? own : undefined;
        lines.push(encodeMessage(channel, epoch, message, true, place));
      }
    }
    return Buffer.from(lines.join('\n'), 'utf8');
  },
};

/** Writes one frame that is no message. */
export function encodeFrame(frame: ServerFrame): string {
  return JSON.stringify(frame);
}

/** The frame that tells a client what was wrong. */
export function toErrorFrame(error: CodedError, id?: CommandId): ErrorFrame {
  return {
    type: 'error',
    ...(id === undefined ? {} : { id }),
    code: error.code,
    message: error.message,
    ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    ...(error.stored === undefined ? {} : { stored: error.stored }),
  };
}
