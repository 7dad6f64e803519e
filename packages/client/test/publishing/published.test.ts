import { CodedError } from '@trunkline/wire';
import { expect, test } from 'vitest';
import { publishOnce, toPublished, UncertainError } from '../../src/publishing/published.ts';
import type { Ask } from '../../src/transports/transport.ts';

const PLACE = { offset: 1, epoch: 'e', position: 'e:1' };

test('an answer says where a message is', () => {
  expect(toPublished('a', { ...PLACE, id: 7 })).toEqual({ channel: 'a', ...PLACE });
});

test('[VOL-1] in a volatile channel it is nowhere', () => {
  expect(toPublished('a', { volatile: true })).toEqual({ channel: 'a', volatile: true });
});

test.each([
  { ok: true },
  { ...PLACE, offset: '1' },
  { ...PLACE, epoch: 5 },
  { ...PLACE, position: {} },
])('[PUB-4] an answer that is none leaves in doubt what became of it: %j', (answer) => {
  const wrong = { code: 'internal', stored: 'unknown' };
  expect(() => toPublished('a', answer)).toThrow(expect.objectContaining(wrong));
});

test('publishes once, with the key that was given', async () => {
  const asks: Ask[] = [];
  const request = (ask: Ask) => {
    asks.push(ask);
    return Promise.resolve({ fields: PLACE });
  };
  const published = await publishOnce(request, 'a', '"channel":"a","data":1', { key: 'k' });
  expect(published).toEqual({ channel: 'a', ...PLACE });
  expect(asks).toEqual([{ kind: 'publish', members: '"channel":"a","data":1,"key":"k"' }]);
});

test('[PUB-4] tells of a loss what is known of it', async () => {
  const lost = new CodedError('unavailable', 'the session ended', { stored: 'unknown' });
  await expect(publishOnce(() => Promise.reject(lost), 'a', '', {})).rejects.toBe(lost);
});

test('asks nothing when it is given up already', async () => {
  const signal = AbortSignal.abort(new Error('never mind'));
  const asked = publishOnce(() => expect.unreachable('it was asked'), 'a', '', { signal });
  await expect(asked).rejects.toThrow('never mind');
});

test('says what to do when nobody knows what became of a publish', () => {
  expect(new UncertainError('a', 'lost')).toMatchObject({
    message: 'a publish to a may be stored or not: look into the history before you repeat it',
    cause: 'lost',
  });
});
