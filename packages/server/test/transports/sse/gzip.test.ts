import { createGunzip, gunzipSync } from 'node:zlib';
import { chunkedFraming, plainFraming } from '@trunkline/server/internal/http/chunked.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { GzipFraming, GzipStream } from '@trunkline/server/internal/transports/sse/gzip.ts';
import { seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { until } from '../websocket/peer.ts';

const CONFIG = { payloadBytesMin: 100, level: 6 };

function create(): { readonly shared: GzipFraming; readonly stream: GzipStream } {
  const shared = new GzipFraming(CONFIG, plainFraming);
  return { shared, stream: new GzipStream(shared, plainFraming) };
}

function batchOf(text: string): SharedBatch {
  return new SharedBatch(Buffer.from(text), true);
}

describe('a gzip stream', () => {
  test('with nothing in it is whole', () => {
    const { stream } = create();
    expect(gunzipSync(Buffer.concat([stream.head(), stream.trailer()]))).toHaveLength(0);
  });

  test('holds shared batches and own frames of every size, and a CRC of them all [COMP-6]', () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = seededRandom(seed);
      const { stream } = create();
      const pieces = [stream.head()];
      const plain: Buffer[] = [];
      for (let count = random.integer(20); count > 0; count -= 1) {
        const size = random.pick([0, 1, 99, 100, 1000, 65_535, 65_536, 200_000]);
        const payload = random.chance(0.5)
          ? Buffer.alloc(size, random.pick(['a', 'data: x\n\n']))
          : Buffer.from(random.bytes(size));
        plain.push(payload);
        const shared = random.chance(0.5);
        pieces.push(
          shared ? stream.frameShared(new SharedBatch(payload, true)) : stream.frame(payload),
        );
      }
      pieces.push(stream.trailer());
      // node:zlib checks the CRC and the length.
      expect(gunzipSync(Buffer.concat(pieces)).equals(Buffer.concat(plain))).toBe(true);
    }
  });

  test('has the same bytes for all, made once, and an end of its own', () => {
    const { shared, stream } = create();
    const late = new GzipStream(shared, plainFraming);
    const [one, two] = [batchOf('one '.repeat(100)), batchOf('two '.repeat(100))];
    const early = [stream.head(), stream.frameShared(one), stream.frameShared(two)];
    const own = late.frame(Buffer.from('open'));
    const rest = [late.head(), own, late.frameShared(two)];
    expect(rest[2]).toBe(early[2]);
    expect(gunzipSync(Buffer.concat([...early, stream.trailer()])).toString()).toBe(
      'one '.repeat(100) + 'two '.repeat(100),
    );
    expect(gunzipSync(Buffer.concat([...rest, late.trailer()])).toString()).toBe(
      `open${'two '.repeat(100)}`,
    );
  });

  test('gives every batch and frame away as it comes', async () => {
    const { stream } = create();
    const gunzip = createGunzip();
    let got = '';
    let sent = '';
    gunzip.on('data', (chunk: Buffer) => (got += chunk.toString()));
    gunzip.write(stream.head());
    for (const text of ['small', 'large '.repeat(100), 'small again', 'large '.repeat(50)]) {
      for (const bytes of [stream.frameShared(batchOf(text)), stream.frame(Buffer.from(text))]) {
        gunzip.write(bytes);
        sent += text;
        await until('all that was sent', () => got.length === sent.length);
      }
    }
    expect(got).toBe(sent);
    gunzip.destroy();
  });

  test('compresses batches, but what is small and what is a link’s own not', () => {
    const { stream } = create();
    const text = 'data: 1\n\n'.repeat(100);
    expect(stream.frameShared(batchOf(text)).length).toBeLessThan(text.length / 10);
    expect(stream.frame(Buffer.from(text)).length).toBe(text.length + 5);
    expect(stream.frameShared(batchOf('data: 1\n\n')).length).toBe('data: 1\n\n'.length + 5);
  });

  test('stands in the framing of its body', () => {
    const shared = new GzipFraming(CONFIG, chunkedFraming);
    const stream = new GzipStream(shared, chunkedFraming);
    expect(stream.body).toBe(chunkedFraming);
    expect(Buffer.from(stream.frame(Buffer.from('x'))).toString('latin1')).toBe(
      '6\r\n\0\x01\0\xfe\xffx\r\n',
    );
    expect(Buffer.from(stream.head()).toString('latin1')).toMatch(/^a\r\n/);
    // An empty chunk would end the body.
    expect(stream.frame(new Uint8Array(0))).toHaveLength(0);
  });
});
