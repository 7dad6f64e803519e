import { describe, expect, test } from 'vitest';
import { connect } from '../../src/lines/sse.ts';
import type { LineOptions } from '../../src/lines/line.ts';
import { RECOVERED } from '../poll-server.ts';
import { Recorder, standingAt } from '../recorder.ts';
import type { Aside } from '../recorder.ts';
import { startStreamServer } from '../stream-server.ts';

const opening = (more: object = {}) => ({
  session: 's1',
  positions: { 'room/42': 'k3f9:40' },
  recovered: {},
  gaps: {},
  ...more,
});

async function open(rest: Partial<LineOptions> = {}, ...asides: Aside[]) {
  const server = await startStreamServer();
  const recorder = new Recorder(...asides);
  const line = connect(recorder.options({ server: server.url, ...rest }));
  const stream = await server.next();
  return { line, stream, recorder, next: server.next, told: recorder.told, pace: recorder.pace };
}

describe('a line over SSE', () => {
  test('[SSE-3] reads the open event and what follows, by the ids', async () => {
    const { stream, recorder, told, line } = await open({ token: () => 't' });
    expect(stream.headers.authorization).toBe('Bearer t');
    expect(Object.fromEntries(stream.query)).toEqual({ channel: 'room/42', snapshot: '1' });
    stream.send('open', 'k3f9:40', opening());
    stream.send('message', 'k3f9:41', '{"a":1}');
    stream.send('bytes:message', 'k3f9:42', 'AAE=');
    stream.send('typed', 'k3f9:43', '1');
    await recorder.until('json typed k3f9:43 1');
    expect(told).toEqual([
      'started k3f9:40',
      'live',
      'json k3f9:41 {"a":1}',
      'bytes k3f9:42 AAE=',
      'json typed k3f9:43 1',
    ]);
    expect(line.standing.after).toBe('k3f9:43');
    line.cut();
  });

  test('goes on from its place when the connection breaks', async () => {
    const { stream, next, recorder, pace, line } = await open();
    stream.send('open', 'k3f9:40', opening());
    stream.send('message', 'k3f9:41', '1');
    await recorder.until('json k3f9:41 1');
    stream.break();
    await recorder.until('reconnecting: the connection broke');
    pace.advance(50);
    const again = await next();
    expect(again.query.get('after')).toBe('k3f9:41');
    again.send('open', 'k3f9:41', opening(RECOVERED));
    await recorder.until('recovered k3f9:41');
    line.cut();
  });

  test('[SSE-5] tells a gap, at the resume and later', async () => {
    const { stream, recorder, told, line } = await open({ standing: standingAt('old1:9') });
    const gaps = { 'room/42': { reason: 'epoch' } };
    stream.send('open', 'k3f9:40', opening({ recovered: { 'room/42': false }, gaps }));
    stream.send('gap', 'k3f9:50', { gap: { reason: 'trimmed', from: 41, to: 50 } });
    stream.send('message', 'k3f9:51', '1');
    await recorder.until('json k3f9:51 1');
    expect(told).toEqual([
      'began with gap epoch',
      'live',
      'gap room/42 trimmed k3f9:50',
      'json k3f9:51 1',
    ]);
    line.cut();
  });

  test('[SSE-10] tells what expired by an id alone', async () => {
    const { stream, recorder, line } = await open();
    stream.send('open', 'k3f9:40', opening());
    stream.send('message', 'k3f9:43');
    await recorder.until('expired room/42 41 to 43');
    expect(line.standing.after).toBe('k3f9:43');
    line.cut();
  });

  test('[SSE-9] follows several channels and patterns by their marks', async () => {
    const { stream, next, recorder, told, line, pace } = await open({
      filters: ['room/42', 'news/#'],
    });
    expect(stream.query.getAll('channel')).toEqual(['room/42', 'news/#']);
    stream.send('open', '~m1', opening());
    const told41 = { channel: 'room/42', epoch: 'k3f9', offset: 41, time: 1, data: 1 };
    const news7 = { channel: 'news/a', epoch: 'e', offset: 7, time: 1, data: 'x' };
    stream.send('message', undefined, told41);
    stream.send('typed', '~m2', { ...news7, event: 'typed' });
    stream.send('gap', undefined, {
      channel: 'news/b',
      gap: { reason: 'trimmed', from: 1, to: 4 },
      position: 'e:4',
    });
    stream.send('message', '~m3');
    stream.end();
    await recorder.until('reconnecting: the stream ended');
    expect(told.slice(0, 5)).toEqual([
      'started',
      'live',
      'json k3f9:41 1',
      'json typed news/a e:7 "x"',
      'gap news/b trimmed e:4',
    ]);
    pace.advance(50);
    const after = new URLSearchParams((await next()).query.get('after') ?? '');
    expect([...after]).toEqual([
      ['room/42', 'k3f9:41'],
      ['news/#', '~m3'],
    ]);
    line.cut();
  });

  test('[SSE-11] reads a volatile channel, which has no ids', async () => {
    const { stream, recorder, line } = await open();
    stream.send('open', undefined, opening({ positions: {}, volatile: ['room/42'] }));
    stream.send('message', undefined, '1');
    await recorder.until('json volatile 1');
    expect(line.standing.after).toBeUndefined();
    line.cut();
  });

  test('[SNAP-3] tells the snapshot that it begins with', async () => {
    const { stream, recorder, line } = await open();
    stream.send('open', 'k3f9:30', opening({ positions: { 'room/42': 'k3f9:30' } }));
    stream.send('snapshot', undefined, {
      channel: 'room/42',
      position: 'k3f9:30',
      time: 5,
      data: { n: 1 },
    });
    await recorder.until('snapshot k3f9:30 {"n":1}');
    line.cut();
  });

  test('[PRES-10] takes part when it is to, and tells who is there', async () => {
    const { stream, recorder, told, line } = await open(
      { takesPart: () => true },
      'presence',
      'session',
    );
    expect(stream.query.get('presence')).toBe('1');
    stream.send('open', 'k3f9:40', opening());
    const member = { session: 's1', since: 1 };
    stream.send('presence', undefined, { channel: 'room/42', members: [member], count: 1 });
    stream.send('join', undefined, { channel: 'room/42', member });
    await recorder.until('join room/42');
    expect(told).toEqual(['session s1', 'started k3f9:40', 'live', 'page room/42', 'join room/42']);
    line.cut();
  });

  test('[SSE-6] comes back after a temporary close, when the server says', async () => {
    const { stream, next, recorder, line, pace } = await open();
    stream.send('close', undefined, { code: 'draining', retryAfter: 1_000 });
    await recorder.until('reconnecting: this node is going away');
    pace.advance(1_050);
    await next();
    line.cut();
  });

  test('gives up after a final close', async () => {
    const { stream, recorder, line } = await open();
    stream.send('close', undefined, { code: 'unauthenticated' });
    await recorder.until('gave-up: a valid token is needed');
    expect(line.status.state).toBe('gave-up');
  });

  test('gives up when it is refused for good, and says why', async () => {
    const { stream, recorder } = await open();
    stream.refuse(403, { code: 'forbidden', detail: 'not this one' });
    await recorder.until('gave-up: not this one');
  });

  test('[SSE-7] finds a peer that is gone without a word, at the open and later', async () => {
    const { stream, recorder, next, pace, line } = await open();
    pace.advance(30_000);
    await recorder.until('reconnecting: the server stopped answering');
    stream.break();
    pace.advance(5_000);
    const again = await next();
    again.send('open', 'k3f9:40', opening());
    await recorder.until('live');
    pace.advance(30_000);
    expect(line.status).toMatchObject({ reason: 'the server stopped answering' });
    line.cut();
  });
});
