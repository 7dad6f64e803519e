import { describe, expect, test } from 'vitest';
import { createLine } from '../../src/lines/line.ts';
import type { LineOptions } from '../../src/lines/line.ts';
import { pollBy } from '../../src/lines/polling.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import type { PollAnswer } from '../poll-server.ts';
import { Recorder, standingAt } from '../recorder.ts';

const PATIENT = { waitSeconds: 25, intervalMs: 0 };

async function open(answers: readonly PollAnswer[], rest: Partial<LineOptions> = {}) {
  const server = await startPollServer(answers);
  const recorder = new Recorder('session');
  const options = recorder.options({ server: server.url, ...rest });
  const line = createLine(pollBy(PATIENT), options);
  return { line, recorder, pace: recorder.pace, requests: server.requests, asked: server.asked };
}

describe('polling', () => {
  test('reads on without waiting while there is more', async () => {
    const { recorder, requests, line } = await open(
      [news([41], 41, { ...RECOVERED, more: true }), news([42], 42, RECOVERED)],
      { standing: standingAt('k3f9:40') },
    );
    await recorder.until('json k3f9:42 42');
    expect(requests[1]?.query).toEqual({ channel: 'room/42', after: 'k3f9:41' });
    line.cut();
  });

  test('tells a later gap and goes on after it', async () => {
    const gaps = { 'room/42': { reason: 'trimmed', from: 41, to: 50 } };
    const { recorder, requests, line } = await open([news([], 40), news([], 50, { gaps })]);
    await recorder.until('gap room/42 trimmed k3f9:50');
    expect(line.standing.after).toBe('k3f9:50');
    expect(requests.length).toBeLessThanOrEqual(3);
    line.cut();
  });

  test('[MSG-6] goes on behind what the positions say has expired', async () => {
    const { line, requests, asked } = await open([news([], 40), news([41], 44, RECOVERED)]);
    await asked(3);
    expect(requests[2]?.query).toMatchObject({ after: 'k3f9:44' });
    line.cut();
  });

  test('[WILD-2] follows patterns by the mark', async () => {
    const many = { positions: {}, mark: '~m1' };
    const { recorder, line, requests, asked } = await open(
      [news([], 0, many), news([7], 7, { ...many, mark: '~m2' })],
      { filters: ['room/+'] },
    );
    await asked(3);
    expect(requests.map(({ query }) => query['after'])).toEqual([undefined, '~m1', '~m2']);
    expect(recorder.told).toEqual(['started', 'live', 'json k3f9:7 7']);
    line.cut();
  });

  test('[PRES-11] stays the same session', async () => {
    const { recorder, line, requests, asked } = await open(
      [news([], 40, { session: 's7' }), news([41], 41, { session: 's7' })],
      { takesPart: () => true },
    );
    await asked(3);
    expect(requests.map(({ query }) => query['session'])).toEqual([undefined, 's7', 's7']);
    expect(recorder.told.filter((text) => text === 'session s7')).toHaveLength(1);
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

  test('pauses when there is more to come that does not come', async () => {
    const more = { ...RECOVERED, more: true };
    const { requests, pace, line } = await open([news([], 40, more), news([], 40, more)]);
    await pace.scheduled();
    expect(requests).toHaveLength(2);
    line.cut();
  });

  test('asks again from its place after a failure', async () => {
    const { recorder, requests, pace, line } = await open([
      news([], 40),
      { status: 503, body: { code: 'draining', detail: 'going away' } },
      news([41], 41, RECOVERED),
    ]);
    await recorder.until('reconnecting: going away');
    pace.advance(5_000);
    await recorder.until('json k3f9:41 41');
    expect(requests[2]?.query).toMatchObject({ channel: 'room/42', after: 'k3f9:40' });
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
