import { describe, expect, test } from 'vitest';
import { readPublish, writePublish } from '../src/binary-publish.ts';
import type { PublishCommand } from '../src/binary-publish.ts';
import { ByteReader, ByteWriter } from '../src/bytes.ts';
import { decodeCommand } from '../src/commands.ts';

const encoder = new TextEncoder();

function written(command: PublishCommand): ByteReader {
  const writer = new ByteWriter(new Uint8Array(0));
  writePublish(writer, command);
  return new ByteReader(writer.written());
}

describe('a publish record', () => {
  test.each([
    '{"type":"publish","channel":"a","data":1}',
    '{"type":"publish","id":0,"channel":"a","data":"text","contentType":"text/plain"}',
    '{"type":"publish","id":9,"channel":"a","bytes":"AP8=","event":"moved","key":"k"}',
    '{"type":"publish","channel":"a","data":{},"retain":true,"slot":"s","ttl":1}',
    '{"type":"publish","channel":"a","data":{},"slot":""}',
  ])('means what the JSON command means: %s [BIN-7]', (json) => {
    const decoded = decodeCommand(json);
    if (!decoded.ok || decoded.command.type !== 'publish') throw new Error('no publish');
    expect(readPublish(written(decoded.command))).toEqual(decoded);
  });

  test('is not retained where retain is false', () => {
    const command = { type: 'publish' as const, channel: 'a', payload: encoder.encode('1') };
    expect(readPublish(written({ ...command, retain: false }))).toEqual({ ok: true, command });
  });

  test('is refused as the JSON command is, with the same words', () => {
    const command = {
      type: 'publish' as const,
      id: 3,
      channel: 'a/#',
      payload: encoder.encode('1'),
    };
    const binary = readPublish(written(command));
    const json = decodeCommand('{"type":"publish","id":3,"channel":"a/#","data":1}');
    expect(binary).toEqual(json);
  });
});
