import { Compression } from '@trunkline/server/internal/transports/websocket/compression.ts';
import type { LinkCompression } from '@trunkline/server/internal/transports/websocket/compression.ts';
import { describe, expect, test } from 'vitest';

const SHARED = { context: false, contextBits: 12, payloadBytesMin: 1024, level: 6 };
const CONTEXT = { ...SHARED, context: true };

function agreedOn(compression: Compression, offer: string): LinkCompression {
  const answer = compression.negotiate(offer);
  if (answer.kind !== 'agreed') throw new Error(`expected agreement on ${offer}`);
  return answer.compression;
}

describe('Compression', () => {
  test('gives links without context one and the same object', () => {
    const compression = new Compression(SHARED);
    const first = agreedOn(compression, 'permessage-deflate');
    expect(agreedOn(compression, 'permessage-deflate; client_max_window_bits')).toBe(first);
    expect(first.deflater).toBeUndefined();
    const small = agreedOn(compression, 'permessage-deflate; server_max_window_bits=10');
    expect(small).not.toBe(first);
    expect(small.inflater).toBe(first.inflater);
    expect(small.framing.name).not.toBe(first.framing.name);
  });

  test('gives each link with context its own', () => {
    const compression = new Compression(CONTEXT);
    const first = agreedOn(compression, 'permessage-deflate; client_max_window_bits');
    const second = agreedOn(compression, 'permessage-deflate; client_max_window_bits');
    expect(first.deflater).toBeDefined();
    expect(second.deflater).not.toBe(first.deflater);
    expect(second.inflater).not.toBe(first.inflater);
  });

  test('keeps no context that the client does not want', () => {
    const compression = new Compression(CONTEXT);
    const sends = agreedOn(
      compression,
      'permessage-deflate; client_max_window_bits; client_no_context_takeover',
    );
    // Nor one that the client does not let us limit.
    const others = agreedOn(compression, 'permessage-deflate');
    expect(sends.deflater).toBeDefined();
    expect(sends.inflater).toBe(others.inflater);
    const takes = agreedOn(
      compression,
      'permessage-deflate; client_max_window_bits; server_no_context_takeover',
    );
    expect(takes.deflater).toBeUndefined();
    expect(takes.inflater).not.toBe(others.inflater);
  });

  test('hands on that nothing was agreed on', () => {
    const compression = new Compression(SHARED);
    expect(compression.negotiate(undefined)).toEqual({ kind: 'declined' });
    expect(compression.negotiate('permessage-deflate;')).toEqual({ kind: 'malformed' });
  });
});
