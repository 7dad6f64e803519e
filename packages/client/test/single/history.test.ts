import { expect, test } from 'vitest';
import { history } from '../../src/single/history.ts';
import { fakePlatform } from '../support/fakes.ts';

test('reads a page, payloads as written, and where to read on', async () => {
  const platform = fakePlatform();
  const page = history({
    url: 'http://server.example',
    channel: 'a/b c',
    after: 'e:1',
    limit: 2,
    ...platform,
  });
  await platform.clock.settle();
  const [request] = platform.requests;
  expect(Object.fromEntries(request?.url.searchParams ?? [])).toEqual({
    channel: 'a/b c',
    after: 'e:1',
    limit: '2',
  });
  const message = '{"channel":"a/b c","offset":2,"epoch":"e","time":1,"data":1.0}';
  request?.answer(
    200,
    `{"messages":[${message}],"position":"e:2","oldest":"e:1","newest":"e:9","more":true}`,
  );
  expect(await page).toEqual({
    messages: [expect.objectContaining({ offset: 2, data: 1, source: '1.0' })],
    position: 'e:2',
    oldest: 'e:1',
    newest: 'e:9',
    more: true,
  });
});

test.each([
  [404, { code: 'not_found', detail: 'gone' }, { code: 'not_found', message: 'gone' }],
  [200, { messages: [] }, { code: 'internal' }],
  [200, 'nonsense', { code: 'internal' }],
])('fails on an answer %i %j', async (status, body, error) => {
  const platform = fakePlatform();
  const page = history({ url: 'http://server.example', channel: 'a', ...platform });
  await platform.clock.settle();
  platform.requests[0]?.answer(status, body);
  await expect(page).rejects.toMatchObject(error);
});
