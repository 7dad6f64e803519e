import { compression } from '@trunkline/server/internal/config/compression.ts';
import { describe, expect, test } from 'vitest';

describe('the configuration of compression', () => {
  test('has everything off by default', () => {
    expect(compression.parse({})).toEqual({
      webSocket: 'off',
      eventStreams: false,
      answers: false,
      payloadBytesMin: 1024,
      level: 6,
      contextBytesMax: 4096,
    });
  });

  test.each([
    { webSocket: true },
    { webSocket: 'all' },
    { level: 0 },
    { level: 10 },
    { contextBytesMax: 511 },
    { contextBytesMax: 32_769 },
    { payloadBytesMin: -1 },
    { brotli: true },
  ])('refuses %j', (config) => {
    expect(compression.safeParse(config).success).toBe(false);
  });
});
