import {
  errorFrame,
  failureAnswer,
  jsonAnswer,
  pageAnswer,
  withHeaders,
} from '@trunkline/server/internal/api/answers.ts';
import { CodedError, decodeServerRecords } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { headOf, jsonOf } from './requests.ts';

const message = (offset: number, payload = String(offset)): Message => ({
  offset,
  time: 1,
  payload: Buffer.from(payload),
});

describe('pageAnswer', () => {
  test.each([
    ['JSON', false],
    ['binary', true],
  ])('encodes a slice once, however many readers share it: %s', (_, binary) => {
    let reads = 0;
    const counted: Message = {
      ...message(1),
      get payload() {
        reads += 1;
        return Buffer.from('1');
      },
    };
    const runs = [{ channel: 'a', epoch: 'e', messages: [counted, message(2)] }];
    const { body } = pageAnswer({ members: '"gaps":{}', runs }, binary);
    const readsOfOne = reads;
    for (let reader = 0; reader < 1_000; reader += 1) {
      expect(pageAnswer({ members: '"gaps":{}', runs }, binary).body).toEqual(body);
    }
    expect(reads).toBe(readsOfOne);
  });

  test.each([
    ['JSON', false],
    ['binary', true],
  ])('takes no empty slice of one channel for another’s: %s', (_, binary) => {
    const messages: readonly Message[] = [];
    const runs = ['a', 'b'].map((channel) => ({ channel, epoch: 'e', messages }));
    const { body = '' } = pageAnswer({ members: '"gaps":{}', runs }, binary);
    expect(typeof body === 'string' ? body : decodeServerRecords(body)).toEqual(
      binary ? [{ kind: 'page', json: '{"gaps":{}}', messages: [] }] : '{"messages":[],"gaps":{}}',
    );
  });
});

describe('withHeaders', () => {
  test('joins what the answer varies by', () => {
    const answer = { status: 200, headers: { vary: 'Accept', a: '1' } };
    expect(withHeaders(answer, { vary: 'Origin', b: '2' }).headers).toEqual({
      vary: 'Origin, Accept',
      a: '1',
      b: '2',
    });
    expect(withHeaders({ status: 200 }, { vary: 'Origin' }).headers).toEqual({ vary: 'Origin' });
    expect(withHeaders({ status: 200 }, {}).headers).toEqual({});
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
