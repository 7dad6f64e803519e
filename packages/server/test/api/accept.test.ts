import { prefersBinary } from '@trunkline/server/internal/api/accept.ts';
import { describe, expect, test } from 'vitest';
import { headOf } from './requests.ts';

const BIN = 'application/vnd.trunkline.v1+bin';

describe('the binary encoding', () => {
  test.each([
    BIN,
    BIN.toUpperCase(),
    `${BIN};q=0.5`,
    `${BIN} ; q=0.001`,
    `${BIN}, application/json`,
    `application/json;q=0.9, ${BIN};q=0.9`,
    `text/html, ${BIN}, */*;q=0.8`,
  ])('is given to who accepts %s [BIN-2]', (accept) => {
    expect(prefersBinary(headOf({ headers: { accept } }))).toBe(true);
  });

  test.each([
    undefined,
    '',
    '*/*',
    'application/*',
    'application/json',
    `${BIN};q=0`,
    `${BIN};q=0.000`,
    `${BIN};q=-1`,
    `${BIN};q=x`,
    `${BIN};q=`,
    `${BIN}ary`,
    `application/json, ${BIN};q=0.9`,
  ])('is not given to who accepts %s [BIN-2]', (accept) => {
    expect(prefersBinary(headOf(accept === undefined ? {} : { headers: { accept } }))).toBe(false);
  });
});
