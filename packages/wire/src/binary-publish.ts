/**
 * Publish as a binary record: the members of the command before a payload that stands as it is
 * ([BIN-7]). What may stand in it is what JSON may have.
 */
import { readContentType, writeContentType } from './binary-message.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import { notStored } from './commands.ts';
import type { Command, CommandId, Decoded } from './commands.ts';
import { asCoded, bad, channelName, optional } from './fields.ts';
import { rawPublishFields } from './publish.ts';

/** The command that publishes. */
export type PublishCommand = Extract<Command, { type: 'publish' }>;

/** Which members are there. */
const FLAG = {
  contentType: 0x01,
  event: 0x02,
  id: 0x04,
  key: 0x08,
  slot: 0x10,
  ttl: 0x20,
  retain: 0x40,
  reserved: 0x80,
} as const;

/** Writes the body of a publish record. */
export function writePublish(writer: ByteWriter, command: PublishCommand): void {
  const { id, channel, payload, contentType, event, key, slot, ttl, retain } = command;
  writer.byte(
    (contentType === undefined ? 0 : FLAG.contentType) |
      (event === undefined ? 0 : FLAG.event) |
      (id === undefined ? 0 : FLAG.id) |
      (key === undefined ? 0 : FLAG.key) |
      (slot === undefined ? 0 : FLAG.slot) |
      (ttl === undefined ? 0 : FLAG.ttl) |
      (retain === true ? FLAG.retain : 0),
  );
  if (id !== undefined) writer.varint(id);
  writer.text(channel);
  if (contentType !== undefined) writeContentType(writer, contentType);
  if (event !== undefined) writer.text(event);
  if (key !== undefined) writer.text(key);
  if (slot !== undefined) writer.text(slot);
  if (ttl !== undefined) writer.varint(ttl);
  writer.bytes(payload);
}

/** Reads the body of a publish record. @returns never throws: what is none becomes an error. */
export function readPublish(reader: ByteReader): Decoded {
  let id: CommandId | undefined;
  try {
    const flags = reader.byte('flags');
    const has = (flag: number): boolean => (flags & flag) !== 0;
    if (has(FLAG.id)) id = reader.varint('id');
    if (has(FLAG.reserved)) throw bad(`flags must be known ones, got ${flags}`);
    const channel = channelName(reader.text('channel'));
    const fields = {
      ...optional('contentType', has(FLAG.contentType) ? readContentType(reader) : undefined),
      ...optional('event', has(FLAG.event) ? reader.text('event') : undefined),
      ...optional('key', has(FLAG.key) ? reader.text('key') : undefined),
      ...optional('slot', has(FLAG.slot) ? reader.text('slot') : undefined),
      ...optional('ttl', has(FLAG.ttl) ? reader.varint('ttl') : undefined),
      ...optional('retain', has(FLAG.retain) ? true : undefined),
    };
    // A copy: a view would keep the whole frame, and whatever else its memory holds.
    const payload = new Uint8Array(reader.rest());
    const command = { type: 'publish' as const, channel, ...rawPublishFields(payload, fields) };
    return { ok: true, command: id === undefined ? command : { ...command, id } };
  } catch (error) {
    return { ok: false, ...optional('id', id), error: notStored(asCoded(error)) };
  }
}
