import { describe, expect, test } from 'vitest';
import {
  carry,
  countBytes,
  countMessage,
  EMPTY_TRAFFIC,
  longText,
  shortText,
} from '../src/traffic.ts';

describe('traffic', () => {
  test('weighs messages by the frames that brought them', () => {
    let traffic = countBytes(carry(EMPTY_TRAFFIC, { encoding: 'json', compression: '' }), 300);
    traffic = countMessage(countMessage(countBytes(traffic, 200)));
    expect(shortText(traffic, 'HTTP/1.1')).toBe('100 B each, HTTP/1.1');
    expect(longText(traffic, 'HTTP/1.1')).toBe(
      'HTTP/1.1, not compressed, 500 B received with 2 messages',
    );
  });

  test('counts anew with another encoding, and on with the same one', () => {
    const json = countBytes(carry(EMPTY_TRAFFIC, { encoding: 'json' }), 300);
    expect(carry(json, { encoding: 'json' }).bytes).toBe(300);
    expect(carry(json, { encoding: 'binary' }).bytes).toBe(0);
  });

  test('says what it was compressed with, as far as anything is known', () => {
    const packed = carry(EMPTY_TRAFFIC, { compression: 'permessage-deflate' });
    expect(shortText(packed, '')).toBe('deflate');
    expect(longText(packed, '')).toContain('compressed by permessage-deflate');
    expect(shortText(EMPTY_TRAFFIC, '')).toBe('');
  });
});
