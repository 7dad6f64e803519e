import { CODES, CodedError } from '@trunkline/wire';
import type { CodeName } from '@trunkline/wire';
import { describe, expect, it } from 'vitest';
import { BrokerError } from '../../../src/broker/broker.ts';
import { ALLOWED_REASONS, REASONS } from '../../../src/protocols/mqtt/codec/reasons.ts';
import { closeFor, disconnectReason, reasonOf } from '../../../src/protocols/mqtt/refusal.ts';

describe('reasonOf', () => {
  it('[MQTT-3.4.2-1] [MQTT-3.5.2-1] has a reason that PUBACK and PUBREC know for every code', () => {
    for (const code of Object.keys(CODES) as CodeName[]) {
      const { reason, coded } = reasonOf(new CodedError(code, 'no'));
      expect(coded.code).toBe(code);
      expect(reason, code).toBeGreaterThanOrEqual(0x80);
      expect(ALLOWED_REASONS.puback.codes.has(reason), code).toBe(true);
      expect(ALLOWED_REASONS.pubrec.codes.has(reason), code).toBe(true);
      // A will is refused in CONNACK.
      expect(ALLOWED_REASONS.connack.codes.has(reason), code).toBe(true);
    }
  });

  it('says what it can of what went wrong', () => {
    const of = (code: CodeName) => reasonOf(new CodedError(code, 'no')).reason;
    expect(of('forbidden')).toBe(REASONS.notAuthorized);
    expect(of('too_large')).toBe(REASONS.quotaExceeded);
    expect(of('rate_limited')).toBe(REASONS.quotaExceeded);
    expect(of('bad_request')).toBe(REASONS.payloadFormatInvalid);
    expect(of('not_found')).toBe(REASONS.topicNameInvalid);
    expect(of('unavailable')).toBe(REASONS.unspecifiedError);
  });

  it('tells nothing of a fault of ours', () => {
    const { coded, reason } = reasonOf(new TypeError('secret'));
    expect(coded.code).toBe('internal');
    expect(coded.message).not.toContain('secret');
    expect(reason).toBe(REASONS.unspecifiedError);
  });

  it('knows what a broker says', () => {
    const error = new BrokerError('unavailable', 'away', { stored: 'unknown' });
    expect(reasonOf(error).coded).toMatchObject({ code: 'unavailable', stored: 'unknown' });
  });
});

describe('disconnectReason', () => {
  it('[MQTT-3.14.2-1] is one that DISCONNECT knows', () => {
    for (const reason of Object.values(REASONS)) {
      const said = disconnectReason(reason);
      expect(ALLOWED_REASONS.serverDisconnect.codes.has(said)).toBe(true);
    }
    expect(disconnectReason(REASONS.serverUnavailable)).toBe(REASONS.serverBusy);
    expect(disconnectReason(REASONS.sessionTakenOver)).toBe(REASONS.sessionTakenOver);
  });
});

describe('closeFor', () => {
  it('has a close for every reason', () => {
    expect(closeFor(REASONS.success)).toEqual({ code: 'normal' });
    expect(closeFor(REASONS.malformedPacket)).toEqual({ code: 'bad_request' });
    expect(closeFor(REASONS.sessionTakenOver)).toEqual({ code: 'replaced' });
    expect(closeFor(REASONS.serverShuttingDown)).toEqual({ code: 'draining' });
    for (const reason of Object.values(REASONS)) {
      const { code } = closeFor(reason);
      expect(code === 'normal' || code in CODES).toBe(true);
    }
  });
});
