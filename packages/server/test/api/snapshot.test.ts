import { describe, expect, test } from 'vitest';
import { expectProblem } from './expectations.ts';
import { jsonOf, textOf } from './requests.ts';
import type { RequestSketch } from './requests.ts';
import { OWN, setUp } from './set-up.ts';

const PATH = '/v1/snapshot?channel=a';

/** An API whose channel `a` has three messages. */
async function setUpStream() {
  const api = setUp();
  const messages = [1, 2, 3].map((data) => ({ channel: 'a', data }));
  await api.askAsServer({ method: 'POST', url: '/v1/publish', body: JSON.stringify(messages) });
  const put = (position: string, more: Partial<RequestSketch> = {}) =>
    api.askAsServer({ method: 'PUT', url: `${PATH}&position=${position}`, body: '{}', ...more });
  return { ...api, put };
}

describe('/v1/snapshot', () => {
  test('[SNAP-1] answers what was put, byte for byte', async () => {
    const { put, askAsServer, hub } = await setUpStream();
    const stored = await put('k3f9:2', { body: '{"n":12345678901234567890}' });
    const time = hub.clock.unixMs();
    expect(jsonOf(stored)).toEqual({ channel: 'a', position: 'k3f9:2', time });
    expect(textOf(await askAsServer({ url: PATH }))).toBe(
      `{"channel":"a","position":"k3f9:2","time":${time},"data":{"n":12345678901234567890}}`,
    );
  });

  test('[SNAP-1] takes any content type; without one it must be JSON', async () => {
    const { put, askAsServer } = await setUpStream();
    const headers = { 'content-type': 'image/png' };
    expect((await put('k3f9:1', { headers, body: Uint8Array.of(255) })).status).toBe(200);
    expect(jsonOf(await askAsServer({ url: PATH }))).toMatchObject({
      bytes: '/w==',
      contentType: 'image/png',
    });
    for (const type of ['', 'application/json', 'application/json; charset=utf-8']) {
      const json = type === '' ? {} : { headers: { 'content-type': type } };
      expect((await put('k3f9:1', json)).status).toBe(200);
      expect(jsonOf(await askAsServer({ url: PATH }))).not.toHaveProperty('contentType');
      expectProblem(
        await put('k3f9:1', { ...json, body: '{' }),
        400,
        'bad_request',
        'must be JSON',
      );
      expectProblem(await put('k3f9:1', { ...json, body: '' }), 400, 'bad_request', 'must be JSON');
    }
    const bad = await put('k3f9:1', { headers: { 'content-type': 'none' } });
    expectProblem(bad, 400, 'bad_request', 'Content-Type must look like type/subtype');
  });

  test('[SNAP-2] refuses a position that is older, of another life, or beyond the stream', async () => {
    const { put } = await setUpStream();
    expect((await put('k3f9:2')).status).toBe(200);
    expectProblem(await put('k3f9:1'), 409, 'conflict', 'there is a newer snapshot of a');
    expectProblem(await put('k3f9:4'), 409, 'conflict', 'k3f9:4 is beyond a, which is at k3f9:3');
    expectProblem(await put('x:2'), 409, 'conflict', 'not of the present life of a');
    expectProblem(await put('2'), 400, 'bad_request', 'position must be EPOCH:OFFSET, got "2"');
    const { askAsServer } = setUp();
    const missing = await askAsServer({ method: 'PUT', url: PATH, body: '{}' });
    expectProblem(missing, 400, 'bad_request', 'position is missing');
  });

  test('[SNAP-4] refuses one that is too large', async () => {
    const { put } = await setUpStream();
    const body = new Uint8Array(1024 * 1024);
    const headers = { 'content-type': 'application/octet-stream' };
    expectProblem(
      await put('k3f9:2', { body, headers }),
      413,
      'too_large',
      'at most 1047552 bytes',
    );
  });

  test('[SNAP-1] is written with an API key and read with the permission to subscribe', async () => {
    const { ask, put, token } = await setUpStream();
    await put('k3f9:3');
    const authorization = `Bearer ${await token('alice', { a: ['subscribe', 'publish'] })}`;
    const headers = { authorization };
    expect((await ask({ url: PATH, headers })).status).toBe(200);
    const write = { url: `${PATH}&position=k3f9:3`, headers, body: '{}' };
    expectProblem(await ask({ ...write, method: 'PUT' }), 403, 'forbidden', 'an API key is needed');
    expectProblem(await ask({ ...write, method: 'DELETE' }), 403, 'forbidden', 'an API key is');
    const other = `Bearer ${await token('bob', { b: ['subscribe'] })}`;
    expectProblem(await ask({ url: PATH, headers: { authorization: other } }), 403, 'forbidden');
    expectProblem(await ask({ url: PATH }), 401, 'unauthenticated');
  });

  test('[SNAP-1] is not found where there is none, and can be deleted', async () => {
    const { put, askAsServer } = await setUpStream();
    expectProblem(
      await askAsServer({ url: PATH }),
      404,
      'not_found',
      'there is no snapshot of "a"',
    );
    await put('k3f9:3');
    const remove = { method: 'DELETE', url: PATH };
    expect((await askAsServer(remove)).status).toBe(204);
    expectProblem(await askAsServer(remove), 404, 'not_found');
    expectProblem(await askAsServer({ url: PATH }), 404, 'not_found');
  });

  test('[HTTP-3] is told to pages by its preflight', async () => {
    const { ask } = setUp();
    const answer = await ask({ method: 'OPTIONS', url: PATH, headers: { origin: OWN } });
    expect(answer).toMatchObject({
      status: 204,
      headers: { 'access-control-allow-methods': 'GET, PUT, DELETE, HEAD, OPTIONS' },
    });
  });
});
