import { expect, test } from 'vitest';
import { RecordingSink, welcomed } from '../support/attempts.ts';

/** JSON that can't be made a text or a number of. */
const ODD = { toString: 1, valueOf: 1 };

test('an error that says nothing that can be read is an error', async () => {
  const { attempt, socket } = welcomed();
  const answer = attempt.request({ kind: 'call', members: '"method":"x"' });
  socket.receive({ type: 'error', id: 1, code: ODD, message: ODD, retryAfter: ODD, stored: ODD });
  await expect(answer).rejects.toMatchObject({
    ...{ code: 'internal', message: 'the server did not say why' },
  });
});

test('a goaway within a time that is none is one of no time', () => {
  const { socket, sink, platform } = welcomed();
  socket.receive({ type: 'goaway', within: ODD });
  platform.clock.advance(0);
  expect(sink.endings).toMatchObject([{ kind: 'lost', reason: 'draining: asked to go away' }]);
});

test('a rate of commands below one a second is not believed [WS-12]', () => {
  const sink = new RecordingSink('a', 'b', 'c', 'd');
  const { platform, said } = welcomed(sink, { limits: { commandsPerSecond: 1e-9 } });
  platform.clock.advance(4000);
  expect(said()).toEqual([...['subscribe 1 a', 'subscribe 2 b', 'subscribe 3 c', 'subscribe 4 d']]);
});
