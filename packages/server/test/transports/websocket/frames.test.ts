import {
  closePayload,
  fittingReason,
  OPCODES,
  PING_FRAME,
  REASON_SIZE_MAX,
  toFrame,
  webSocketFraming,
} from '@trunkline/server/internal/transports/websocket/frames.ts';
import { describe, expect, test } from 'vitest';
import { hex, receive, RULES } from './recorder.ts';

describe('toFrame', () => {
  // RFC 6455 §5.7.
  test('writes the examples of the RFC', () => {
    const hello = Buffer.from('Hello');
    expect(hex(toFrame(OPCODES.text, hello))).toBe('810548656c6c6f');
    expect(hex(toFrame(OPCODES.text, hello, { mask: 0x37fa213d }))).toBe('818537fa213d7f9f4d5158');
    expect(hex(toFrame(OPCODES.text, Buffer.from('Hel'), { fin: false }))).toBe('010348656c');
    expect(hex(toFrame(OPCODES.continuation, Buffer.from('lo')))).toBe('80026c6f');
    expect(hex(toFrame(OPCODES.ping, hello))).toBe('890548656c6c6f');
    expect(hex(toFrame(OPCODES.binary, Buffer.alloc(256)).subarray(0, 4))).toBe('827e0100');
    const large = toFrame(OPCODES.binary, Buffer.alloc(65_536));
    expect(hex(large.subarray(0, 10))).toBe('827f0000000000010000');
    expect(hex(PING_FRAME)).toBe('8900');
  });

  test.each([0, 125, 126, 65_535, 65_536])('writes %i bytes so that a peer reads them', (size) => {
    const payload = Buffer.alloc(size, 'x');
    const expected = [{ binary: hex(payload) }];
    const masked = toFrame(OPCODES.binary, payload, { mask: 0xfedcba98 });
    expect(receive([masked])).toEqual(expected);
    const plain = toFrame(OPCODES.binary, payload);
    expect(receive([plain], { ...RULES, peerMasks: false })).toEqual(expected);
  });

  // RFC 7692 §7.2.3.1.
  test('marks a compressed message', () => {
    const hello = Buffer.from('f248cdc9c90700', 'hex');
    expect(hex(toFrame(OPCODES.text, hello, { compressed: true }))).toBe('c107f248cdc9c90700');
    const first = toFrame(OPCODES.text, hello.subarray(0, 3), { fin: false, compressed: true });
    expect(hex(first)).toBe('4103f248cd');
  });

  test('leaves the payload as it was', () => {
    const payload = Buffer.alloc(300, 'x');
    toFrame(OPCODES.text, payload, { mask: 0x01020304 });
    expect(payload).toEqual(Buffer.alloc(300, 'x'));
  });
});

describe('webSocketFraming', () => {
  test('makes one message of one payload, text or binary', () => {
    expect(hex(webSocketFraming.frame(Buffer.from('hi'), true))).toBe('81026869');
    expect(hex(webSocketFraming.frame(Buffer.from('hi'), false))).toBe('82026869');
  });
});

describe('closePayload', () => {
  test('holds the code and the reason', () => {
    expect(hex(closePayload(1000))).toBe('03e8');
    expect(hex(closePayload(4401, 'ü'))).toBe('1131c3bc');
  });

  test.each(['x', 'ü', '€', '😀', 'a😀'])('cuts a long reason of %s between characters', (text) => {
    const reason = text.repeat(200);
    const fitting = fittingReason(reason);
    const size = Buffer.byteLength(fitting);
    expect(reason.startsWith(fitting)).toBe(true);
    expect(size).toBeLessThanOrEqual(REASON_SIZE_MAX);
    expect(size).toBeGreaterThan(REASON_SIZE_MAX - 4);
    expect(closePayload(1000, reason)).toHaveLength(2 + size);
  });

  test('keeps a reason that just fits', () => {
    const reason = 'x'.repeat(REASON_SIZE_MAX);
    expect(fittingReason(reason)).toBe(reason);
  });
});
