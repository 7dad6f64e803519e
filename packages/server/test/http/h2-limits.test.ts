import { getPackedSettings } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { DEFAULT_HTTP2_LIMITS, sessionOptions } from '@trunkline/server/internal/http/h2-limits.ts';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';

describe('the limits of HTTP/2', () => {
  const options = sessionOptions(DEFAULT_HTTP2_LIMITS, DEFAULT_HTTP_LIMITS);

  test('[H2-4] tell clients that they may open WebSockets, and how many streams', () => {
    expect(options.settings).toMatchObject({
      enableConnectProtocol: true,
      maxConcurrentStreams: DEFAULT_HTTP2_LIMITS.streamsPerSessionMax,
      maxHeaderListSize: DEFAULT_HTTP_LIMITS.headSizeMax,
    });
    expect(getPackedSettings(options.settings ?? {}).length).toBeGreaterThan(0);
  });

  test('leave none to the defaults of node:http2', () => {
    const named = [
      'maxSettings',
      'maxSessionMemory',
      'maxHeaderListPairs',
      'maxSessionInvalidFrames',
      'maxSessionRejectedStreams',
      'maxOutstandingPings',
      'streamResetBurst',
      'streamResetRate',
      'maxDeflateDynamicTableSize',
    ];
    expect(Object.keys(options)).toEqual(expect.arrayContaining(named));
  });

  test('let a session end all its streams at once without being taken for a flood', () => {
    const { resetsBurst, streamsPerSessionMax } = DEFAULT_HTTP2_LIMITS;
    expect(resetsBurst).toBeGreaterThanOrEqual(streamsPerSessionMax);
  });

  test('let a session that is full of unread bytes stay within its memory', () => {
    const { streamsPerSessionMax, streamWindowSize, sessionMemoryMaxMb } = DEFAULT_HTTP2_LIMITS;
    expect(streamsPerSessionMax * streamWindowSize).toBeLessThanOrEqual(
      sessionMemoryMaxMb * 2 ** 20,
    );
  });
});
