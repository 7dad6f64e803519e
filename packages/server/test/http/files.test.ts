import { createFileServer } from '@trunkline/server/internal/http/files.ts';
import type { Asset } from '@trunkline/server/internal/http/files.ts';
import type { RequestHead } from '@trunkline/server/internal/http/request.ts';
import { expect, test } from 'vitest';

const SCRIPT: Asset = {
  body: Buffer.from('export {};'.repeat(100)),
  contentType: 'text/javascript; charset=utf-8',
  headers: { 'access-control-allow-origin': '*', 'cache-control': 'no-cache' },
};
const serve = createFileServer(new Map([['/client.js', SCRIPT]]));

function asking(path: string, headers: RequestHead['headers'] = {}): RequestHead {
  const rest = { search: '', remoteAddress: '192.0.2.7', secure: false, version: '1.1' } as const;
  return { method: 'GET', path, headers, ...rest };
}

test('answers on the paths it knows, as they are written', () => {
  const answer = serve(asking('/client.js'));
  expect(answer).toMatchObject({ status: 200, body: SCRIPT.body });
  expect(answer?.headers).toMatchObject({
    'content-type': SCRIPT.contentType,
    'cache-control': 'no-cache',
    vary: 'Accept-Encoding',
  });
  for (const path of ['/', '/client.js/', '/CLIENT.js', '/../client.js', '/client%2Ejs']) {
    expect(serve(asking(path)), path).toBeUndefined();
  }
});

test('a client that has the file is told so, whether it has it compressed or not', () => {
  const zipped = serve(asking('/client.js', { 'accept-encoding': 'gzip' }));
  expect(zipped?.headers?.['content-encoding']).toBe('gzip');
  const etag = zipped?.headers?.['etag'] ?? '';
  expect(etag).toMatch(/^W\/"[\w-]{43}"$/);
  for (const encoding of ['gzip', 'identity']) {
    const headers = { 'if-none-match': etag, 'accept-encoding': encoding };
    expect(serve(asking('/client.js', headers))).toEqual({
      status: 304,
      headers: { ...SCRIPT.headers, etag, vary: 'Accept-Encoding' },
    });
  }
  expect(serve(asking('/client.js', { 'if-none-match': '"another"' }))?.status).toBe(200);
});

test('another content has another tag', () => {
  const other = createFileServer(new Map([['/client.js', { ...SCRIPT, body: Buffer.from('2') }]]));
  expect(other(asking('/client.js'))?.headers?.['etag']).not.toBe(
    serve(asking('/client.js'))?.headers?.['etag'],
  );
});
