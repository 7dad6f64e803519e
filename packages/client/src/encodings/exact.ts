/**
 * Exact: JSON that keeps the text of each payload, in which large numbers survive ([MSG-3]). The
 * text is cut out of what came, at the price of reading it twice.
 */
import { elementSources, memberSource } from '@trunkline/wire';
import { asObject } from '../events.ts';
import type { ReceivedMessage } from '../events.ts';
import type { Encoding, Frame } from './encoding.ts';
import { fieldsOf, json, linesOf, messageOf } from './json.ts';

const decoder = new TextDecoder();

/** `trunkline.v1.json` with a `source` beside the `data` of everything that is JSON. */
export const exactJson: Encoding = {
  ...json,
  framesOf: (data) => linesOf(data).map(frameOf),
  answerOf: (body) => frameOf(decoder.decode(body)),
  eventOf: frameOf,
};

/** The messages of an answer to a poll or for history, each with the source of its payload. */
function toMessages(answer: string): ReceivedMessage[] {
  const list = memberSource(answer, 'messages');
  if (list?.startsWith('[') !== true) return [];
  return elementSources(list).map((source) =>
    messageOf(fieldsOf(source), memberSource(source, 'data')),
  );
}

function frameOf(text: string): Frame {
  const fields = fieldsOf(text);
  const source = 'data' in fields ? memberSource(text, 'data') : undefined;
  return {
    fields,
    ...(source !== undefined && { source }),
    ...(Array.isArray(fields['messages']) && { messages: toMessages(text) }),
    ...('snapshots' in fields && { snapshotSources: toSnapshotSources(fields, text) }),
  };
}

function toSnapshotSources(fields: Frame['fields'], text: string): ReadonlyMap<string, string> {
  const all = memberSource(text, 'snapshots') ?? '{}';
  const channels = Object.keys(asObject(fields['snapshots']) ?? {});
  return new Map(
    channels.flatMap((channel) => {
      const own = memberSource(all, channel) ?? '';
      const source = own.startsWith('{') ? memberSource(own, 'data') : undefined;
      return source === undefined ? [] : [[channel, source]];
    }),
  );
}
