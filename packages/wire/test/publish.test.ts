import { describe, expect, test } from 'vitest';
import { CodedError } from '../src/codes.ts';
import {
  contentTypeFault,
  decodePublishBody,
  eventFault,
  isJsonContentType,
  isJsonText,
  publishFields,
  rawPublishFields,
} from '../src/publish.ts';
import { toElement } from './support/requests.ts';
import { readVectors, vectorText } from './support/vectors.ts';
import type { VectorText } from './support/vectors.ts';

interface BodyVectors {
  readonly publishBodies: {
    name: string;
    text: VectorText;
    error?: string;
    request?: object;
    requests?: object[];
    count?: number;
  }[];
}

describe('decodePublishBody', () => {
  test.each(readVectors<BodyVectors>('commands').publishBodies)('$name', (vector) => {
    const read = () => decodePublishBody(vectorText(vector.text));
    if (vector.error !== undefined) {
      expect(read).toThrow(expect.objectContaining({ name: 'CodedError', code: vector.error }));
      return;
    }
    const body = read();
    if (vector.request !== undefined) {
      expect(Array.isArray(body) ? body : toElement(body, vector.request)).toEqual(vector.request);
      return;
    }
    if (!Array.isArray(body)) throw new Error('expected a batch');
    const { requests } = vector;
    if (requests === undefined) {
      expect(body).toHaveLength(vector.count ?? 0);
      expect(body.some((element) => element instanceof CodedError)).toBe(false);
      return;
    }
    expect(body.map((element, at) => toElement(element, requests[at] ?? {}))).toEqual(requests);
  });
});

describe('attributes', () => {
  test('are no member of a publish: what a client gives as them is left out [MSG-5]', () => {
    const body = '{"channel":"a","data":1,"attributes":"AQI="}';
    expect(decodePublishBody(body)).not.toHaveProperty('attributes');
    expect(publishFields(body, JSON.parse(body))).not.toHaveProperty('attributes');
    const given = { attributes: Uint8Array.of(1) };
    expect(rawPublishFields(Uint8Array.of(0x31), given)).not.toHaveProperty('attributes');
  });
});

describe('events', () => {
  test.each(['open', 'gap', 'close', 'join', 'leave', 'error', 'message', 'bytes:', 'bytes:moved'])(
    'keeps %s for the event stream',
    (event) => {
      expect(eventFault(event)).toMatch(/must not be/);
    },
  );

  test.each(['', 'a\nb', 'a\rb', 'a\u0000', 'a\u0085', '\ud800', 'x'.repeat(129)])(
    'refuses %j',
    (event) => {
      expect(eventFault(event)).toMatch(/^must /);
    },
  );

  test.each(['moved', 'Open', 'opened', 'bytes', 'über', '😀', 'x'.repeat(128)])(
    'takes %j',
    (event) => {
      expect(eventFault(event)).toBeUndefined();
    },
  );
});

describe('content types', () => {
  test.each(['text/plain', 'text/plain; charset=utf-8', 'image/svg+xml', 'a/b;c="d e"'])(
    'takes %s',
    (contentType) => {
      expect(contentTypeFault(contentType)).toBeUndefined();
    },
  );

  test.each([
    '',
    'text',
    '/',
    'text/',
    '/plain',
    'a b/c',
    'text/plain x',
    'a/b/c',
    'a/b;\n',
    'ä/b',
  ])('refuses %j', (contentType) => {
    expect(contentTypeFault(contentType)).toMatch(/^must /);
  });

  test('knows JSON by its type, in any case and with parameters', () => {
    expect(isJsonContentType('application/json')).toBe(true);
    expect(isJsonContentType('Application/JSON ; charset=utf-8')).toBe(true);
    expect(isJsonContentType('application/jsonp')).toBe(false);
    expect(isJsonContentType('application/json+x')).toBe(false);
  });
});

describe('isJsonText', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);

  test('accepts one JSON text and nothing beside it', () => {
    expect(isJsonText(bytes(' {"a":[1]}\n'))).toBe(true);
    expect(isJsonText(bytes('1'))).toBe(true);
    expect(isJsonText(bytes(''))).toBe(false);
    expect(isJsonText(bytes('1 2'))).toBe(false);
    expect(isJsonText(bytes('1}{"type":"goaway"'))).toBe(false);
    expect(isJsonText(bytes('\ufeff1'))).toBe(false);
  });

  test('refuses what is not UTF-8', () => {
    expect(isJsonText(new Uint8Array([0x22, 0xff, 0x22]))).toBe(false);
  });
});
