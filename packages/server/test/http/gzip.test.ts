import { gunzipSync } from 'node:zlib';
import {
  acceptsGzip,
  AnswerGzip,
  FileGzip,
  varyByEncoding,
} from '@trunkline/server/internal/http/gzip.ts';
import type { HttpAnswer, RequestHead } from '@trunkline/server/internal/http/request.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';

function asking(encodings?: string): RequestHead {
  return {
    method: 'GET',
    path: '/v1/history',
    search: '',
    headers: { ...(encodings === undefined ? {} : { 'accept-encoding': encodings }) },
    remoteAddress: '192.0.2.7',
    secure: false,
    version: '1.1',
  };
}

const TEXT = '{"messages":[]}'.repeat(100);
const JSON_ANSWER: HttpAnswer = {
  status: 200,
  headers: { 'content-type': 'application/json', vary: 'Accept' },
  body: TEXT,
};

function unzipped({ body = '' }: HttpAnswer): string {
  return gunzipSync(body).toString();
}

describe('acceptsGzip [COMP-5]', () => {
  test.each([
    'gzip',
    'GZIP',
    'x-gzip',
    'gzip, deflate, br, zstd',
    ' br;q=1.0 , gzip;q=0.8,*;q=0.1',
    'deflate,, gzip ; q=0.001',
    '*',
    'identity;q=0.5, *;q=0.5',
    'gzip, identity',
    'identity;q=0, gzip;q=0.1',
  ])('is true for %j', (encodings) => {
    expect(acceptsGzip(asking(encodings))).toBe(true);
  });

  test.each([
    undefined,
    '',
    'identity',
    'br, deflate',
    'gzip;q=0',
    'gzip;q=0.000',
    'gzip;q=0, *',
    '*;q=0',
    'gzip;q=0.5, identity',
    'gzip;q=0.5, identity;q=0.8',
    'gzip;q=2',
    'gzip;q=1.001',
    'gzip;q=0.1234',
    'gzip;q',
    'gzip;level=9',
    'gzip deflate',
    'gzip/2',
    `${'a,'.repeat(32)}gzip`,
  ])('is false for %j', (encodings) => {
    expect(acceptsGzip(asking(encodings))).toBe(false);
  });
});

test('says that an answer varies by the encoding as well', () => {
  expect(varyByEncoding()).toBe('Accept-Encoding');
  expect(varyByEncoding({ vary: 'Origin, Accept' })).toBe('Origin, Accept, Accept-Encoding');
});

describe('AnswerGzip', () => {
  const gzip = new AnswerGzip({ payloadBytesMin: 1024, level: 6 });

  test('compresses for a client that asks', async () => {
    const answer = await gzip.answer(asking('gzip'), JSON_ANSWER);
    expect(answer).toMatchObject({
      status: 200,
      headers: {
        'content-type': 'application/json',
        'content-encoding': 'gzip',
        vary: 'Accept, Accept-Encoding',
      },
    });
    expect(answer.body?.length).toBeLessThan(TEXT.length / 10);
    expect(unzipped(answer)).toBe(TEXT);
  });

  test('compresses bytes of its own encoding', async () => {
    const headers = { 'content-type': 'application/vnd.trunkline.v1+bin' };
    const answer = { status: 200, headers, body: Buffer.from(TEXT) };
    expect(unzipped(await gzip.answer(asking('gzip'), answer))).toBe(TEXT);
  });

  test.each<[string, string | undefined, Partial<HttpAnswer>]>([
    ['a client that does not ask', undefined, {}],
    ['what is small', 'gzip', { body: 'x'.repeat(1023) }],
    ['nothing', 'gzip', { status: 304, body: '' }],
    ['what is no text', 'gzip', { headers: { 'content-type': 'image/png', vary: 'Accept' } }],
    ['what does not become smaller', 'gzip', { body: Buffer.from(seededRandom(1).bytes(2000)) }],
  ])('leaves alone %s, and says that it varies', async (_, encodings, changed) => {
    const before = { ...JSON_ANSWER, ...changed };
    const answer = await gzip.answer(asking(encodings), before);
    expect(answer.body).toBe(before.body);
    expect(answer.headers).toEqual({ ...before.headers, vary: 'Accept, Accept-Encoding' });
  });

  test('gives those who ask for the same at the same time the same bytes', async () => {
    const asked = [TEXT, `${TEXT} `, TEXT].map((body) =>
      gzip.answer(asking('gzip'), { ...JSON_ANSWER, body }),
    );
    const [first, other, second] = await Promise.all(asked);
    expect(second?.body).toBe(first?.body);
    expect(other?.body).not.toBe(first?.body);
    // It is not kept: nobody may ask again.
    const later = await gzip.answer(asking('gzip'), JSON_ANSWER);
    expect(later.body).not.toBe(first?.body);
    expect(later.body).toEqual(first?.body);
  });
});

describe('FileGzip', () => {
  const gzip = new FileGzip();
  const file = (contentType: string): HttpAnswer => ({
    status: 200,
    headers: { 'content-type': contentType },
    body: Buffer.from(TEXT),
  });

  test.each(['text/html; charset=utf-8', 'text/javascript', 'image/svg+xml', 'application/json'])(
    'compresses %s, once',
    (contentType) => {
      const answer = file(contentType);
      const first = gzip.answer(asking('gzip'), answer);
      expect(first.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' });
      expect(unzipped(first)).toBe(TEXT);
      expect(gzip.answer(asking('gzip'), answer).body).toBe(first.body);
      const plain = gzip.answer(asking(), answer);
      expect(plain.body).toBe(answer.body);
      expect(plain.headers).toMatchObject({ vary: 'Accept-Encoding' });
    },
  );

  test('leaves alone what is compressed already', () => {
    const image = file('image/png');
    expect(gzip.answer(asking('gzip'), image)).toBe(image);
  });
});
