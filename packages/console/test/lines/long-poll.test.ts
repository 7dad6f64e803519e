import { describe, expect, test } from 'vitest';
import { connect } from '../../src/lines/long-poll.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import type { PollAnswer } from '../poll-server.ts';
import { Recorder } from '../recorder.ts';

async function open(answers: readonly PollAnswer[], after?: string) {
  const server = await startPollServer(answers);
  const recorder = new Recorder();
  const line = connect(
    recorder.options({ server: server.url, ...(after === undefined ? {} : { after }) }),
  );
  return { line, recorder, pace: recorder.pace, requests: server.requests, asked: server.asked };
}

describe('a line over long polling', () => {
  test('asks at once where it stands, then waits at the server', async () => {
    const { recorder, requests, asked, line } = await open([
      news([], 40),
      news([41], 41, RECOVERED),
    ]);
    await recorder.until('json k3f9:41 41');
    await asked(3);
    expect(requests.map(({ query }) => query)).toEqual([
      { channel: 'room/42' },
      { channel: 'room/42', after: 'k3f9:40', wait: '25' },
      { channel: 'room/42', after: 'k3f9:41', wait: '25' },
    ]);
    expect(recorder.told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 41']);
    line.cut();
  });

  test('reads on without waiting while there is more', async () => {
    const { recorder, requests, line } = await open(
      [news([41], 41, { ...RECOVERED, more: true }), news([42], 42, RECOVERED)],
      'k3f9:40',
    );
    await recorder.until('json k3f9:42 42');
    expect(requests[1]?.query).toEqual({ channel: 'room/42', after: 'k3f9:41' });
    line.cut();
  });

  test('tells a later gap and goes on after it', async () => {
    const gaps = { 'room/42': { reason: 'trimmed', from: 41, to: 50 } };
    const { recorder, requests, line } = await open([news([], 40), news([], 50, { gaps })]);
    await recorder.until('gap trimmed k3f9:50');
    expect(line.position).toEqual({ epoch: 'k3f9', offset: 50 });
    expect(requests.length).toBeLessThanOrEqual(3);
    line.cut();
  });

  test('pauses after an empty answer that was not waited for', async () => {
    const { recorder, requests, asked, pace, line } = await open([news([], 40), news([], 40)]);
    await recorder.until('live');
    await pace.scheduled();
    expect(requests).toHaveLength(2);
    pace.advance(1_000);
    await asked(3);
    line.cut();
  });

  test('asks again from its position after a failure', async () => {
    const { recorder, requests, pace, line } = await open([
      news([], 40),
      { status: 503, body: { code: 'draining', detail: 'going away' } },
      news([41], 41, RECOVERED),
    ]);
    await recorder.until('reconnecting: going away');
    pace.advance(5_000);
    await recorder.until('json k3f9:41 41');
    expect(requests[2]?.query).toEqual({ channel: 'room/42', after: 'k3f9:40' });
    expect(recorder.told).toContain('recovered k3f9:40');
    line.cut();
  });

  test('is silent once it is cut', async () => {
    const { recorder, line } = await open([news([], 40)]);
    await recorder.until('live');
    line.cut();
    expect(recorder.told.at(-1)).toBe('cut');
    expect(recorder.pace.pending).toBe(0);
  });
});
