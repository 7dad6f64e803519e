import { describe, expect, test } from 'vitest';
import { createLine } from '../../src/lines/line.ts';
import type { Attempt, DialTraits, LineMessage, LineOptions } from '../../src/lines/line.ts';
import { Recorder } from '../recorder.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

function message(offset: number, epoch = 'k3f9'): LineMessage {
  return { position: at(offset, epoch), kind: 'json', payload: '1' };
}

/** A line over a transport that does only what the test says. */
function openLine(rest: Partial<LineOptions> = {}, traits: DialTraits = {}) {
  const recorder = new Recorder();
  const attempts: Attempt[] = [];
  let hangUps = 0;
  const line = createLine(
    (attempt) => {
      attempts.push(attempt);
      return () => {
        hangUps += 1;
      };
    },
    recorder.options(rest),
    traits,
  );
  return {
    line,
    told: recorder.told,
    pace: recorder.pace,
    attempts,
    hangUps: () => hangUps,
    last: () => {
      const attempt = attempts.at(-1);
      if (attempt === undefined) throw new Error('the line has not dialled');
      return attempt;
    },
  };
}

describe('a line', () => {
  test('dials at once, without a place unless it was given one', () => {
    expect(openLine().last().after).toBeUndefined();
    expect(openLine({ after: 'k3f9:42' }).last().after).toBe('k3f9:42');
  });

  test('moves its position with what it handed on', () => {
    const { line, last } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    expect(line.position).toEqual(at(7));
    last().message(message(8));
    expect(line.position).toEqual(at(8));
  });

  test('dials again from its position after a loss', () => {
    const { last, pace, attempts, told } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    last().message(message(8));
    last().lost('the connection broke');
    pace.advance(50);
    expect(attempts).toHaveLength(2);
    expect(last().after).toBe('k3f9:8');
    last().opened({ kind: 'recovered', from: at(8) });
    expect(told).toEqual([
      'started k3f9:7',
      'live',
      'json k3f9:8 1',
      'reconnecting: the connection broke',
      'recovered k3f9:8',
      'live',
    ]);
  });

  test('goes on from `0:0`, so that a channel without messages loses none either', () => {
    const { last, pace } = openLine();
    last().opened({ kind: 'started', at: at(0, '0') });
    last().lost('the connection broke');
    pace.advance(50);
    expect(last().after).toBe('0:0');
  });

  test('waits longer with every failure', () => {
    const { last, pace, attempts } = openLine();
    for (const waitMs of [50, 100, 200, 400, 800, 1_600, 2_500, 2_500]) {
      const tries = attempts.length;
      last().lost('no answer');
      pace.advance(waitMs - 1);
      expect(attempts).toHaveLength(tries);
      pace.advance(1);
      expect(attempts).toHaveLength(tries + 1);
    }
  });

  test('begins with the shortest wait again once a connection held', () => {
    const { last, pace, attempts } = openLine();
    for (let tries = 0; tries < 6; tries += 1) {
      last().lost('no answer');
      pace.advance(5_000);
    }
    last().opened({ kind: 'started', at: at(1) });
    pace.advance(5_000);
    last().lost('the connection broke');
    pace.advance(50);
    expect(attempts).toHaveLength(8);
  });

  test('keeps waiting long while the server drops every connection as it opens', () => {
    const { last, pace, attempts } = openLine();
    for (let tries = 0; tries < 6; tries += 1) {
      last().opened({ kind: 'started', at: at(1) });
      last().lost('the connection broke');
      pace.advance(5_000);
    }
    last().opened({ kind: 'started', at: at(1) });
    last().lost('the connection broke');
    pace.advance(2_499);
    expect(attempts).toHaveLength(7);
  });

  test('waits at least as long as the server asked for', () => {
    const { last, pace, attempts } = openLine();
    last().lost('draining', 3_000);
    pace.advance(3_049);
    expect(attempts).toHaveLength(1);
    pace.advance(1);
    expect(attempts).toHaveLength(2);
  });

  test('drops the connection when it is cut and goes on from there when it is resumed', () => {
    const { line, last, attempts, hangUps } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    line.cut();
    expect(hangUps()).toBe(1);
    expect(line.status.state).toBe('cut');
    line.resume();
    expect(attempts).toHaveLength(2);
    expect(last().after).toBe('k3f9:7');
  });

  test('dials no more when it is cut while it waits', () => {
    const { line, last, pace, attempts } = openLine();
    last().lost('no answer');
    line.cut();
    expect(pace.pending).toBe(0);
    pace.advance(10_000);
    expect(attempts).toHaveLength(1);
  });

  test('has one connection however often it is resumed', () => {
    const { line, last, attempts } = openLine();
    line.resume();
    last().opened({ kind: 'started', at: at(1) });
    line.resume();
    expect(attempts).toHaveLength(1);
  });

  test('hears nothing more from an attempt that ended', () => {
    const { line, last, told, attempts, pace } = openLine();
    const first = last();
    first.lost('no answer');
    pace.advance(50);
    const before = [...told];
    first.message(message(1));
    first.lost('again');
    first.refused('no');
    first.opened({ kind: 'started', at: at(1) });
    expect(told).toEqual(before);
    expect(line.position).toBeUndefined();
    expect(attempts).toHaveLength(2);
  });

  test('gives up when it is refused, and may be resumed by hand', () => {
    const { line, last, pace, attempts } = openLine();
    last().refused('a valid token is needed');
    expect(line.status).toEqual({ state: 'gave-up', reason: 'a valid token is needed', tries: 0 });
    expect(pace.pending).toBe(0);
    line.resume();
    expect(attempts).toHaveLength(2);
  });

  test('goes on at the place an announced gap names', () => {
    const { line, last } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    last().gap({ reason: 'trimmed', from: 8, to: 20 }, at(20));
    expect(line.position).toEqual(at(20));
  });

  test('does not go back for a repeated message', () => {
    const { line, last } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    last().message(message(9));
    last().message(message(8));
    expect(line.position).toEqual(at(9));
  });

  test('dials anew with the token of now when it is renewed, unless it is cut', () => {
    let token = 'first';
    const { line, last, attempts, hangUps } = openLine({ token: () => token });
    last().opened({ kind: 'started', at: at(7) });
    expect(last().token).toBe('first');
    token = 'fresh';
    line.renew();
    expect(hangUps()).toBe(1);
    expect(last()).toMatchObject({ token: 'fresh', after: 'k3f9:7' });
    last().refused('no');
    line.renew();
    expect(attempts).toHaveLength(3);
    line.cut();
    line.renew();
    expect(attempts).toHaveLength(3);
  });

  test('has no use for event names where every message is heard', () => {
    const { line, last, attempts } = openLine();
    last().opened({ kind: 'started', at: at(7) });
    line.expect(['typed']);
    expect(attempts).toHaveLength(1);
  });

  test('tells a gap that it finds when it dialled anew for a name', () => {
    const { line, last, told } = openLine({}, { byName: true });
    last().opened({ kind: 'started', at: at(7) });
    line.expect(['typed']);
    last().opened({ kind: 'gap', gap: { reason: 'epoch' }, at: at(0, 'new1') });
    expect(told.slice(2)).toEqual(['gap epoch new1:0', 'live']);
  });

  test('dials anew from its position when it learns an event name, and says nothing of it', () => {
    const { line, last, attempts, hangUps, told } = openLine(
      { events: ['joined'] },
      { byName: true },
    );
    last().opened({ kind: 'started', at: at(7) });
    line.expect(['joined']);
    expect(attempts).toHaveLength(1);
    line.expect(['typed']);
    expect(hangUps()).toBe(1);
    expect(last().after).toBe('k3f9:7');
    expect([...last().events]).toEqual(['joined', 'typed']);
    last().opened({ kind: 'recovered', from: at(7) });
    expect(told).toEqual(['started k3f9:7', 'live']);
  });
});
