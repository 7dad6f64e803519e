import { describe, expect, test } from 'vitest';
import { connect, INTERVAL_MS } from '../../src/lines/short-poll.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import { Recorder } from '../recorder.ts';

describe('a line over short polling', () => {
  test('asks once a second, and with the tag while its place stays the same', async () => {
    const tagged = (tag: string) => ({ headers: { etag: tag } });
    const server = await startPollServer([
      { ...news([], 40), ...tagged('"a"') },
      { ...news([], 40, RECOVERED), ...tagged('"b"') },
      { status: 304 },
      { ...news([41], 41, RECOVERED), ...tagged('"c"') },
      { ...news([], 41, RECOVERED), ...tagged('"d"') },
    ]);
    const recorder = new Recorder();
    const line = connect(recorder.options({ server: server.url }));
    for (let asked = 1; asked <= 5; asked += 1) {
      await recorder.pace.scheduled();
      expect(server.requests).toHaveLength(asked);
      recorder.pace.advance(INTERVAL_MS);
    }
    await server.asked(6);
    expect(server.requests.map(({ headers }) => headers['if-none-match'])).toEqual([
      undefined,
      undefined,
      '"b"',
      '"b"',
      undefined,
      '"d"',
    ]);
    expect(recorder.told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 41']);
    line.cut();
  });

  test('gives up when it is refused for good', async () => {
    const server = await startPollServer([
      { status: 403, body: { code: 'forbidden', detail: 'no' } },
    ]);
    const recorder = new Recorder();
    connect(recorder.options({ server: server.url }));
    await recorder.until('gave-up: no');
    expect(recorder.pace.pending).toBe(0);
  });
});
