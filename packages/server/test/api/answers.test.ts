import {
  encodeMessages,
  errorFrame,
  failureAnswer,
  jsonAnswer,
} from '@trunkline/server/internal/api/answers.ts';
import { CodedError } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { headOf, jsonOf } from './requests.ts';

const message = (offset: number, payload = String(offset)): Message => ({
  offset,
  time: 1,
  payload: Buffer.from(payload),
});

describe('encodeMessages', () => {
  test('encodes a slice once, however many readers share it', () => {
    let reads = 0;
    const counted: Message = {
      ...message(1),
      get payload() {
        reads += 1;
        return Buffer.from('1');
      },
    };
    const slice = [counted, message(2)];
    const text = encodeMessages('a', 'e', slice);
    expect(JSON.parse(`[${text}]`)).toHaveLength(2);
    for (let reader = 0; reader < 1_000; reader += 1) {
      expect(encodeMessages('a', 'e', slice)).toBe(text);
    }
    expect(reads).toBe(1);
  });

  test('takes no empty slice of one channel for another’s', () => {
    const empty: readonly Message[] = [];
    expect(encodeMessages('a', 'e', empty)).toBe('');
    expect(encodeMessages('b', 'e', empty)).toBe('');
  });
});

describe('errorFrame', () => {
  test('tells what a session would be told', () => {
    const details = { retryAfter: 7, stored: 'unknown' } as const;
    expect(errorFrame(new CodedError('unavailable', 'away', details))).toEqual({
      type: 'error',
      code: 'unavailable',
      message: 'away',
      ...details,
    });
  });

  test('keeps the inside to itself', () => {
    expect(errorFrame(new CodedError('internal', 'x is undefined')).message).toBe('internal error');
  });
});

describe('failureAnswer', () => {
  test('asks for a token, and says that one was bad to who sent it', () => {
    const error = new CodedError('unauthenticated', 'no');
    const challenge = (headers: Record<string, string>): string | undefined =>
      failureAnswer(headOf({ headers }), error, {}).headers?.['www-authenticate'];
    expect(challenge({})).toBe('Bearer');
    expect(challenge({ authorization: 'Bearer x' })).toBe('Bearer error="invalid_token"');
  });

  test('says when to come back, in whole seconds rounded up, where that may help', () => {
    const after = (error: CodedError): string | undefined =>
      failureAnswer(headOf(), error, {}).headers?.['retry-after'];
    expect(after(new CodedError('rate_limited', '', { retryAfter: 1_001 }))).toBe('2');
    expect(after(new CodedError('rate_limited', ''))).toBe('1');
    expect(after(new CodedError('unavailable', ''))).toBe('1');
    expect(after(new CodedError('forbidden', ''))).toBeUndefined();
    expect(after(new CodedError('internal', ''))).toBeUndefined();
  });

  test('keeps the headers it is given', () => {
    const answer = failureAnswer(headOf(), new CodedError('not_found', 'no'), { vary: 'origin' });
    expect(answer.headers).toMatchObject({ vary: 'origin' });
    expect(jsonOf(answer)).toMatchObject({ status: 404, code: 'not_found', detail: 'no' });
  });
});

describe('jsonAnswer', () => {
  test('is kept by nobody unless it says so', () => {
    expect(jsonAnswer('{}').headers).toMatchObject({ 'cache-control': 'no-store' });
    const kept = jsonAnswer('{}', { 'cache-control': 'private, no-cache' });
    expect(kept.headers).toMatchObject({ 'cache-control': 'private, no-cache' });
  });
});
