import { describe, expect, test } from 'vitest';
import { connect } from '../../src/lines/sse.ts';
import type { LineOptions } from '../../src/lines/line.ts';
import { fakeSources, nextSource } from '../fake-sources.ts';
import type { FakeEventSource } from '../fake-sources.ts';
import { news, RECOVERED, startPollServer } from '../poll-server.ts';
import { Recorder } from '../recorder.ts';

const opening = (more: object = {}) => ({
  session: 's1',
  positions: { 'room/42': 'k3f9:40' },
  recovered: {},
  gaps: {},
  ...more,
});

function open(rest: Partial<LineOptions> = {}) {
  const { sources } = fakeSources();
  const recorder = new Recorder();
  const line = connect(recorder.options(rest));
  const last = (): FakeEventSource => {
    const source = sources.at(-1);
    if (source === undefined) throw new Error('no stream was opened');
    return source;
  };
  return { line, last, sources, recorder, told: recorder.told, pace: recorder.pace };
}

describe('a line over SSE', () => {
  test('reads the open event and what follows, by the ids', () => {
    const { last, told, line } = open({ token: () => 't' });
    expect(last().url).toBe('http://127.0.0.1:1/v1/sse?channel=room%2F42&access_token=t');
    last().dispatchEvent(new Event('open')); // The browser's own.
    expect(told).toEqual([]);
    last().receive('open', 'k3f9:40', opening());
    last().receive('message', 'k3f9:41', '{"a":1}');
    last().receive('bytes:message', 'k3f9:42', 'AAE=');
    expect(told).toEqual(['started k3f9:40', 'live', 'json k3f9:41 {"a":1}', 'bytes k3f9:42 AAE=']);
    expect(line.position).toEqual({ epoch: 'k3f9', offset: 42 });
  });

  test('goes on from its position with a stream of its own making', () => {
    const { last, sources, told, pace } = open();
    last().receive('open', 'k3f9:40', opening());
    last().receive('message', 'k3f9:41', '1');
    last().fail(false);
    expect(last().readyState).toBe(2);
    pace.advance(50);
    expect(sources).toHaveLength(2);
    expect(last().url).toContain('after=k3f9%3A41');
    last().receive('open', 'k3f9:41', opening(RECOVERED));
    expect(told.slice(-2)).toEqual(['recovered k3f9:41', 'live']);
  });

  test('tells a gap, at the resume and later', () => {
    const { last, told } = open({ after: 'old1:9' });
    const gaps = { 'room/42': { reason: 'epoch' } };
    last().receive('open', 'k3f9:40', opening({ recovered: { 'room/42': false }, gaps }));
    last().receive('gap', 'k3f9:50', { gap: { reason: 'trimmed', from: 41, to: 50 } });
    last().receive('message', 'k3f9:51', '1');
    expect(told).toEqual(['gap epoch k3f9:40', 'live', 'gap trimmed k3f9:50', 'json k3f9:51 1']);
  });

  test('hears the event names it was told of', () => {
    const { last, told } = open({ events: ['typed'] });
    last().receive('open', 'k3f9:40', opening());
    last().receive('typed', 'k3f9:41', '1');
    last().receive('bytes:typed', 'k3f9:42', 'AAE=');
    expect(told.slice(-2)).toEqual(['json typed k3f9:41 1', 'bytes typed k3f9:42 AAE=']);
  });

  test('looks up the names behind a hole and dials again from before it', async () => {
    const body = {
      messages: [
        { channel: 'room/42', epoch: 'k3f9', offset: 41, time: 1, data: 1, event: 'typed' },
      ],
      positions: { 'room/42': 'k3f9:41' },
      ...RECOVERED,
    };
    const { url, requests } = await startPollServer([{ body }]);
    const { last, sources, told, line } = open({ server: url });
    last().receive('open', 'k3f9:40', opening());
    const again = nextSource();
    last().receive('message', 'k3f9:42', '2'); // 41 has a name that nobody listens for.
    await again;
    expect(sources).toHaveLength(2);
    expect(requests[0]?.query).toEqual({ channel: 'room/42', after: 'k3f9:40' });
    expect(last().url).toContain('after=k3f9%3A40');
    last().receive('open', 'k3f9:40', opening(RECOVERED));
    last().receive('typed', 'k3f9:41', '1');
    last().receive('message', 'k3f9:42', '2');
    expect(told.slice(-2)).toEqual(['json typed k3f9:41 1', 'json k3f9:42 2']);
    expect(line.position).toEqual({ epoch: 'k3f9', offset: 42 });
  });

  test('hands on a hole that stays, so that it is counted', async () => {
    const { url } = await startPollServer([news([42], 42, RECOVERED)]);
    const { last, recorder } = open({ server: url });
    last().receive('open', 'k3f9:40', opening());
    last().receive('message', 'k3f9:42', '2');
    last().receive('message', 'k3f9:43', '3');
    await recorder.until('json k3f9:43 3');
    expect(recorder.told.slice(-2)).toEqual(['json k3f9:42 2', 'json k3f9:43 3']);
  });

  test('comes back after a temporary close, when the server says', () => {
    const { last, sources, line, pace } = open();
    last().receive('close', '', { code: 'draining', retryAfter: 1_000 });
    expect(line.status).toMatchObject({
      state: 'reconnecting',
      reason: 'this node is going away',
    });
    pace.advance(1_050);
    expect(sources).toHaveLength(2);
  });

  test('gives up after a final close', () => {
    const { last, line } = open();
    last().receive('close', '', { code: 'unauthenticated' });
    expect(line.status.state).toBe('gave-up');
  });

  test('asks a poll why it was refused, which an EventSource does not tell', async () => {
    const problem = { code: 'forbidden', detail: 'not this one' };
    const { url } = await startPollServer([{ status: 403, body: problem }]);
    const { last, recorder } = open({ server: url });
    last().fail(true);
    await recorder.until('gave-up: not this one');
  });

  test('does not wait for ever for the open event', () => {
    const { line, pace } = open();
    pace.advance(10_000);
    expect(line.status).toMatchObject({ state: 'reconnecting', reason: 'no answer in time' });
  });
});
