import { expect, test } from 'vitest';
import { connect, WAIT_SECONDS } from '../../src/lines/long-poll.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import { Recorder } from '../recorder.ts';

test('a line over long polling asks at once where it stands, then waits at the server', async () => {
  const server = await startPollServer([news([], 40), news([41], 41, RECOVERED)]);
  const recorder = new Recorder();
  const line = connect(recorder.options({ server: server.url }));
  await recorder.until('json k3f9:41 41');
  await server.asked(3);
  const wait = String(WAIT_SECONDS);
  expect(server.requests.map(({ query }) => query)).toEqual([
    { channel: 'room/42', snapshot: '1' },
    { channel: 'room/42', after: 'k3f9:40', wait },
    { channel: 'room/42', after: 'k3f9:41', wait },
  ]);
  expect(recorder.told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 41']);
  line.cut();
});
