import {
  ALLOWED_REASONS,
  ALLOWED_RETURN_CODES,
  connackCode,
  REASONS,
} from '@trunkline/server/internal/protocols/mqtt/codec/reasons.ts';
import { describe, expect, test } from 'vitest';

describe('reason codes', () => {
  test('each code that a packet may carry has a name', () => {
    const known = new Set<number>(Object.values(REASONS));
    for (const { codes } of Object.values(ALLOWED_REASONS)) {
      for (const code of codes) expect(known).toContain(code);
    }
  });

  test('[MQTT-3.2.2-8] a CONNACK of 5.0 has the reason itself, if it may carry it', () => {
    expect(connackCode(REASONS.notAuthorized, 5)).toBe(0x87);
    expect(connackCode(REASONS.sessionTakenOver, 5)).toBeUndefined();
  });

  test('[MQTT4-3.2.2-6] a CONNACK of 3.1.1 has one of five refusals, or is not sent', () => {
    const { codes } = ALLOWED_RETURN_CODES.connack;
    for (const reason of ALLOWED_REASONS.connack.codes) {
      const code = connackCode(reason, 4);
      if (code !== undefined) expect(codes).toContain(code);
    }
    expect(connackCode(REASONS.unsupportedProtocolVersion, 4)).toBe(1);
    expect(connackCode(REASONS.clientIdentifierNotValid, 4)).toBe(2);
    expect(connackCode(REASONS.serverBusy, 4)).toBe(3);
    expect(connackCode(REASONS.badUserNameOrPassword, 4)).toBe(4);
    expect(connackCode(REASONS.notAuthorized, 4)).toBe(5);
    // [MQTT-3.1.4-1]: what is no proper CONNECT gets none.
    expect(connackCode(REASONS.malformedPacket, 4)).toBeUndefined();
  });
});
