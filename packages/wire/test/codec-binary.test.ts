import { describe, expect, test } from 'vitest';
import {
  decodeBinaryCommands,
  decodeServerRecords,
  encodeBinaryCommand,
  encodeJsonRecord,
  encodePage,
  encodeRuns,
} from '../src/codec-binary.ts';
import { CodedError } from '../src/codes.ts';
import type { Command } from '../src/commands.ts';
import { checkPublish } from './fuzz/wire.fuzz.ts';
import {
  frameBytes,
  joined,
  readRecords,
  toChannelMessage,
  writeRecords,
} from './support/binary.ts';
import type { BinaryVectors } from './support/binary.ts';
import { toResult } from './support/requests.ts';
import { readVectors, vectorPayload, vectorText } from './support/vectors.ts';
import type { VectorText } from './support/vectors.ts';

const vectors = readVectors<BinaryVectors>('binary');
const encoder = new TextEncoder();

function message(offset: number, text = '1') {
  return { offset, time: 1_700_000_000_000, payload: encoder.encode(text) };
}

describe('decodeBinaryCommands', () => {
  test.each(vectors.commandFrames)('$name', ({ bytes, results, count }) => {
    const decoded = decodeBinaryCommands(frameBytes(bytes));
    expect(decoded).toHaveLength(count ?? results?.length ?? 0);
    if (results === undefined) {
      expect(decoded.every((one) => one.ok)).toBe(true);
      return;
    }
    const expected = results.map((result) =>
      typeof result.command?.payloadBase64 === 'object'
        ? {
            command: { ...result.command, payloadBase64: vectorText(result.command.payloadBase64) },
          }
        : result,
    );
    expect(decoded.map((one, at) => toResult(one, results[at]?.command ?? {}))).toEqual(expected);
  });

  test('says of a publish that is refused that nothing was stored [PUB-4]', () => {
    const frame = encodeBinaryCommand({
      type: 'publish',
      id: 1,
      channel: 'a',
      payload: encoder.encode('{'),
    });
    expect(decodeBinaryCommands(frame)).toMatchObject([{ id: 1, error: { stored: false } }]);
  });

  test('copies payloads, so that the memory of the frame may be used again', () => {
    const frame = encodeBinaryCommand({
      type: 'publish',
      channel: 'a',
      payload: encoder.encode('1'),
    });
    const [decoded] = decodeBinaryCommands(frame);
    frame.fill(0);
    expect(decoded).toMatchObject({ command: { payload: encoder.encode('1') } });
  });

  test('reads a frame in the middle of other memory', () => {
    const frame = encodeJsonRecord('{"type":"ping"}');
    const memory = joined([new Uint8Array([1, 2, 3]), frame, new Uint8Array([4])]);
    const middle = memory.subarray(3, 3 + frame.length);
    expect(decodeBinaryCommands(middle)).toEqual([{ ok: true, command: { type: 'ping' } }]);
  });
});

describe('encodeBinaryCommand', () => {
  const written = vectors.commandFrames.filter(({ writes }) => writes);

  test.each(written)('$name', ({ bytes, results = [] }) => {
    const frames = results.map(({ command = {} }) => {
      const isPublish = 'payload' in command || 'payloadBase64' in command;
      const { payload: _, payloadBase64: _base64, ...rest } = command;
      const fields = isPublish ? { ...rest, payload: vectorPayload(command) } : rest;
      return encodeBinaryCommand(fields as Command);
    });
    expect(joined(frames)).toEqual(frameBytes(bytes));
  });
});

describe('damaged frames', () => {
  /** Every frame of the vectors that is not long, cut off at each place and with each bit turned. */
  function* damaged(frames: readonly { readonly bytes: VectorText }[]): Generator<Uint8Array> {
    for (const { bytes } of frames) {
      const frame = frameBytes(bytes);
      if (frame.length > 400) continue;
      for (let size = 0; size < frame.length; size += 1) yield frame.slice(0, size);
      for (let bit = 0; bit < frame.length * 8; bit += 1) {
        const turned = frame.slice();
        const at = Math.floor(bit / 8);
        turned[at] = (turned[at] ?? 0) ^ (1 << (bit % 8));
        yield turned;
      }
    }
  }

  test('of a client are commands or coded errors, and no payload that is called JSON is none', () => {
    for (const frame of damaged([...vectors.commandFrames, ...vectors.serverFrames])) {
      for (const decoded of decodeBinaryCommands(frame)) {
        if (!decoded.ok) expect(decoded.error).toBeInstanceOf(CodedError);
        else if (decoded.command.type === 'publish') checkPublish(decoded.command);
      }
    }
  });

  test('of a server are records or a coded error', () => {
    for (const frame of damaged([...vectors.serverFrames, ...vectors.commandFrames])) {
      try {
        decodeServerRecords(frame);
      } catch (error) {
        expect(error).toBeInstanceOf(CodedError);
      }
    }
  });
});

describe('decodeServerRecords', () => {
  test.each(vectors.serverFrames)('$name', ({ bytes, records }) => {
    const expected = records.map((record) =>
      'messages' in record
        ? { ...record, messages: record.messages.map(toChannelMessage) }
        : record,
    );
    expect(readRecords(frameBytes(bytes))).toEqual(expected);
  });

  test.each(vectors.notServerFrames)('refuses $name', ({ bytes }) => {
    expect(() => decodeServerRecords(frameBytes(bytes))).toThrow(CodedError);
  });

  test('reads a page of many messages', () => {
    const messages = Array.from({ length: 200_000 }, (_, index) => message(index + 1));
    const page = encodePage('{}', [encodeRuns([{ channel: 'a', epoch: 'e', messages }])]);
    const [record] = decodeServerRecords(page);
    expect(record?.kind === 'page' && record.messages.length).toBe(200_000);
  });
});

describe('writing frames', () => {
  const written = vectors.serverFrames.filter(({ writes }) => writes);

  test.each(written)('$name', ({ bytes, records }) => {
    expect(writeRecords(records)).toEqual(frameBytes(bytes));
  });

  test('puts what ran out of time before the messages [BIN-5]', () => {
    const expired = { from: 1, to: 2 };
    const frame = encodeRuns([{ channel: 'a', epoch: 'e', messages: [message(3)], expired }], '~m');
    expect(readRecords(frame)).toMatchObject([
      { json: { type: 'expired', channel: 'a', epoch: 'e', from: 1, to: 2 } },
      { messages: [{ offset: 3, mark: '~m' }] },
    ]);
  });

  test('gives the mark to what ran out of time where nothing comes after it', () => {
    const expired = { from: 1, to: 2 };
    const frame = encodeRuns([{ channel: 'a', epoch: 'e', messages: [], expired }], '~m');
    expect(readRecords(frame)).toEqual([
      { json: { type: 'expired', channel: 'a', epoch: 'e', from: 1, to: 2, mark: '~m' } },
    ]);
  });

  test('gives the mark to the last message of the last run alone', () => {
    const runs = ['a', 'b'].map((channel) => ({
      channel,
      epoch: 'e',
      messages: [message(1), message(2)],
    }));
    const records = decodeServerRecords(encodeRuns(runs, '~m'));
    const marks = records.flatMap((one) =>
      one.kind === 'messages' ? one.messages.map(({ mark }) => mark) : [],
    );
    expect(marks).toEqual([undefined, undefined, undefined, '~m']);
  });

  test('begins another record where offsets do not follow one another', () => {
    const messages = [message(1), message(2), message(5)];
    const frame = encodeRuns([{ channel: 'a', epoch: 'e', messages }], '~m');
    expect(readRecords(frame)).toMatchObject([
      { messages: [{ offset: 1 }, { offset: 2 }] },
      { messages: [{ offset: 5, mark: '~m' }] },
    ]);
  });

  test('leaves the frames made before as they are', () => {
    const texts = Array.from({ length: 500 }, (_, index) => `{"n":"${'x'.repeat(index)}"}`);
    const frames = texts.map((text) => encodeJsonRecord(text));
    expect(frames.map((frame) => decodeServerRecords(frame))).toEqual(
      texts.map((json) => [{ kind: 'json', json }]),
    );
  });

  test('goes on after what could not be written', () => {
    const faulty = { channel: 'a', epoch: 'e', messages: [{ ...message(1), offset: 1.5 }] };
    expect(() => encodeRuns([faulty])).toThrow(RangeError);
    expect(readRecords(encodeJsonRecord('{}'))).toEqual([{ json: {} }]);
  });

  test.each([127, 128, 16_383, 16_384, 70_000])('takes a payload of %i bytes', (size) => {
    const messages = [message(1, `"${'é'.repeat(size / 2 - 1)}"`), message(2)];
    const frame = encodeRuns([{ channel: 'a', epoch: 'e', messages }]);
    expect(readRecords(frame)).toMatchObject([{ messages }]);
  });
});
