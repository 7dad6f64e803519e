import { describe, expect, test } from 'vitest';
import { createLine } from '../../src/lines/line.ts';
import type { Attempt, LineMessage, LineOptions } from '../../src/lines/line.ts';
import { beginning } from '../fake-transport.ts';
import { Recorder, standingAt } from '../recorder.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

function message(offset: number, channel = 'room/42'): LineMessage {
  return { channel, position: at(offset), kind: 'json', payload: '1' };
}

const RECOVERED = { recovered: true };

/** A line over a transport that does only what the test says. */
function openLine(rest: Partial<LineOptions> = {}) {
  const recorder = new Recorder();
  const attempts: Attempt[] = [];
  let hangUps = 0;
  const line = createLine((attempt) => {
    attempts.push(attempt);
    return () => {
      hangUps += 1;
    };
  }, recorder.options(rest));
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
    expect(openLine().last().after()).toBeUndefined();
    expect(
      openLine({ standing: standingAt('k3f9:42') })
        .last()
        .after(),
    ).toBe('k3f9:42');
  });

  test('moves its place with what it handed on', () => {
    const { line, last } = openLine();
    last().begun(beginning('k3f9:7'));
    expect(line.standing.after).toBe('k3f9:7');
    last().message(message(8));
    expect(line.standing.after).toBe('k3f9:8');
  });

  test('dials again from its place after a loss', () => {
    const { last, pace, attempts, told } = openLine();
    last().begun(beginning('k3f9:7'));
    last().message(message(8));
    last().lost('the connection broke');
    pace.advance(50);
    expect(attempts).toHaveLength(2);
    expect(last().after()).toBe('k3f9:8');
    last().begun(beginning('k3f9:8', RECOVERED));
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
    last().begun(beginning('0:0'));
    last().lost('the connection broke');
    pace.advance(50);
    expect(last().after()).toBe('0:0');
  });

  test('[REC-2] believes a recovery only when the server says so in clear', () => {
    for (const recovered of [false, undefined]) {
      const { last, told } = openLine({ standing: standingAt('k3f9:40') });
      last().begun(beginning('k3f9:40', { recovered }));
      expect(told).toEqual(['began with gap unknown', 'live']);
    }
    const { last, told } = openLine({ standing: standingAt('k3f9:40') });
    last().begun(beginning(undefined, RECOVERED));
    expect(told).toEqual(['began with gap unknown', 'live']);
  });

  test('stays at the place it asked for, so that a server that skips is found out', () => {
    const { line, last, told } = openLine({ standing: standingAt('k3f9:38') });
    last().begun(beginning('k3f9:40', RECOVERED));
    expect(line.standing.after).toBe('k3f9:38');
    expect(told[0]).toBe('recovered k3f9:38');
  });

  test('lets a gap stand over everything', () => {
    const { line, last, told } = openLine({ standing: standingAt('k3f9:0') });
    last().begun(
      beginning('k3f9:9', { recovered: true, gap: { reason: 'trimmed', from: 1, to: 9 } }),
    );
    expect(told).toEqual(['began with gap trimmed', 'live']);
    expect(line.standing.after).toBe('k3f9:9');
  });

  test('[VOL-1] takes a volatile channel without a place', () => {
    const { line, last, told, pace } = openLine();
    last().begun(beginning(undefined, { isVolatile: true }));
    last().message({ channel: 'room/42', kind: 'json', payload: '1' });
    last().lost('the connection broke');
    pace.advance(50);
    last().begun(beginning(undefined, { isVolatile: true }));
    expect(told.slice(0, 3)).toEqual(['started', 'live', 'json volatile 1']);
    expect(told.slice(-2)).toEqual(['started', 'live']);
    expect(line.standing.after).toBeUndefined();
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
    last().begun(beginning('k3f9:1'));
    pace.advance(5_000);
    last().lost('the connection broke');
    pace.advance(50);
    expect(attempts).toHaveLength(8);
  });

  test('keeps waiting long while the server drops every connection as it opens', () => {
    const { last, pace, attempts } = openLine();
    for (let tries = 0; tries < 6; tries += 1) {
      last().begun(beginning('k3f9:1', RECOVERED));
      last().lost('the connection broke');
      pace.advance(5_000);
    }
    last().begun(beginning('k3f9:1', RECOVERED));
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
    last().begun(beginning('k3f9:7'));
    line.cut();
    expect(hangUps()).toBe(1);
    expect(line.status.state).toBe('cut');
    line.resume();
    expect(attempts).toHaveLength(2);
    expect(last().after()).toBe('k3f9:7');
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
    last().begun(beginning('k3f9:1'));
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
    first.begun(beginning('k3f9:1'));
    first.marked(['room/42'], '~m');
    first.reached('room/42', 'k3f9:9');
    expect(told).toEqual(before);
    expect(line.standing.after).toBeUndefined();
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
    last().begun(beginning('k3f9:7'));
    last().gap('room/42', { reason: 'trimmed', from: 8, to: 20 }, at(20));
    expect(line.standing.after).toBe('k3f9:20');
  });

  test('[MSG-6] goes on behind what expired', () => {
    const { line, last, told } = openLine();
    last().begun(beginning('k3f9:7'));
    last().expired('room/42', 'k3f9', 8, 9);
    last().reached('room/42', 'k3f9:12');
    expect(told.at(-1)).toBe('expired room/42 8 to 9');
    expect(line.standing.after).toBe('k3f9:12');
  });

  test('dials anew with what holds now when it is renewed, unless it is cut', () => {
    let token = 'first';
    let takesPart = false;
    const { line, last, attempts, hangUps } = openLine({
      token: () => token,
      takesPart: () => takesPart,
      encoding: () => (takesPart ? 'binary' : 'json'),
    });
    last().begun(beginning('k3f9:7'));
    expect(last()).toMatchObject({ token: 'first', encoding: 'json', takesPart: false });
    token = 'fresh';
    takesPart = true;
    line.renew();
    expect(hangUps()).toBe(1);
    expect(last()).toMatchObject({ token: 'fresh', encoding: 'binary', takesPart: true });
    expect(last().after()).toBe('k3f9:7');
    last().refused('no');
    line.renew();
    expect(attempts).toHaveLength(3);
    line.cut();
    line.renew();
    expect(attempts).toHaveLength(3);
  });
});

describe('a line of several channels and patterns', () => {
  const filters = ['room/42', 'news/#'];

  test('is live when all of them are answered, and reads on meanwhile', () => {
    const { line, last, told } = openLine({ filters });
    last().begun(beginning('k3f9:7'));
    last().message(message(8));
    expect(line.status.state).toBe('connecting');
    last().begun(beginning('~m1', { filter: 'news/#' }));
    expect(told).toEqual(['json k3f9:8 1', 'started', 'live']);
    expect(line.standing.after).toBe('room%2F42=k3f9%3A8&news%2F%23=%7Em1');
  });

  test('[WILD-3] hands on once what a resume by an older mark brings again', () => {
    const { line, last, told, pace } = openLine({ filters });
    last().begun(beginning('k3f9:7'));
    last().begun(beginning('~m1', { filter: 'news/#' }));
    last().message(message(1, 'news/a'));
    last().lost('the connection broke');
    pace.advance(50);
    expect(last().placeOf('news/#')).toBe('~m1');
    last().begun(beginning('k3f9:7', RECOVERED));
    last().begun(beginning('~m1', { filter: 'news/#', recovered: true }));
    last().message(message(1, 'news/a'));
    last().message(message(2, 'news/a'));
    last().marked(['news/#'], '~m2');
    expect(told.slice(3)).toEqual([
      'reconnecting: the connection broke',
      'recovered k3f9:7',
      'live',
      'json news/a k3f9:2 1',
    ]);
    expect(line.standing.placeOf('news/#')).toBe('~m2');
  });

  test('hands on a repeat that no resume explains, so that it is counted', () => {
    const { last, told } = openLine({ filters });
    last().begun(beginning('k3f9:7'));
    last().begun(beginning('~m1', { filter: 'news/#' }));
    for (const offset of [1, 1]) last().message(message(offset, 'news/a'));
    expect(told.slice(-2)).toEqual(['json news/a k3f9:1 1', 'json news/a k3f9:1 1']);
  });

  test('takes one answer without a mark as good, and keeps the mark before', () => {
    const { line, last, pace } = openLine({ filters: ['news/#'] });
    last().begun(beginning('~m1', { filter: 'news/#' }));
    last().lost('the connection broke');
    pace.advance(50);
    last().begun(beginning(undefined, { filter: 'news/#', recovered: true }));
    expect(line.status.state).toBe('live');
    expect(line.standing.after).toBe('~m1');
  });
});
