/**
 * Compression: what is made smaller on its way to clients. All of it is off by default, because the
 * size of what is compressed tells something of it to whoever can see the wire and put text of his
 * own beside a secret (BREACH).
 */
import { z } from 'zod';
import { field, whole } from './field.ts';

/** The group `compression`. */
export const compression = z.strictObject({
  webSocket: field(
    z.enum(['off', 'shared', 'context']).default('off'),
    'Compress messages for WebSocket clients that offer permessage-deflate: each frame by itself ' +
      'and once for all of them (shared), or anew for each connection, referring to the frames ' +
      'before (context). Keep it off where strangers can publish to what clients read beside secrets: ' +
      'with shared in one turn, with context at any time.',
    { env: 'TRUNKLINE_COMPRESSION_WEB_SOCKET' },
  ),
  eventStreams: field(
    z.boolean().default(false),
    'Compress event streams for clients that accept gzip: each batch of messages by itself and ' +
      'once for all of them. Keep it off where strangers can publish beside secrets.',
    { env: 'TRUNKLINE_COMPRESSION_EVENT_STREAMS' },
  ),
  answers: field(
    z.boolean().default(false),
    'Compress what polls, history and other GET calls answer to clients that accept gzip. Keep it ' +
      'off where strangers can publish to what is read beside secrets.',
    { env: 'TRUNKLINE_COMPRESSION_ANSWERS' },
  ),
  payloadBytesMin: field(
    whole(0).default(1024),
    'Smaller batches and answers are sent as they are: they fit in one packet anyway.',
    { unit: 'bytes', env: 'TRUNKLINE_COMPRESSION_PAYLOAD_BYTES_MIN' },
  ),
  level: field(whole(1).max(9).default(6), 'How hard to compress: 1 is fastest, 9 is smallest.', {
    env: 'TRUNKLINE_COMPRESSION_LEVEL',
  }),
  contextBytesMax: field(
    whole(512).max(32_768).default(4096),
    'With context, what is kept of each direction of a connection to refer to, rounded down to a ' +
      'power of two. What was sent is forgotten in a ping interval without another batch.',
    { unit: 'bytes', env: 'TRUNKLINE_COMPRESSION_CONTEXT_BYTES_MAX' },
  ),
});
