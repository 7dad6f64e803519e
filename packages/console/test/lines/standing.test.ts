import { describe, expect, test } from 'vitest';
import { Standing } from '../../src/lines/standing.ts';

const at = (offset: number, epoch = 'k3f9') => ({ epoch, offset });

function begun(places: Readonly<Record<string, string>>): Standing {
  const standing = new Standing(Object.keys(places));
  for (const [filter, place] of Object.entries(places)) standing.begin(filter, place);
  return standing;
}

describe('a standing', () => {
  test('is nowhere before it begins', () => {
    expect(new Standing(['a', 'b/#']).after).toBeUndefined();
  });

  test('[REC-1] says one place as it is, and several by their names', () => {
    expect(begun({ a: 'k3f9:1' }).after).toBe('k3f9:1');
    expect(begun({ 'b/#': '~m' }).after).toBe('~m');
    const several = begun({ 'a=b&c': 'k3f9:1', 'b/#': '~m' });
    expect([...new URLSearchParams(several.after)]).toEqual([
      ['a=b&c', 'k3f9:1'],
      ['b/#', '~m'],
    ]);
  });

  test('has the place of the first message where nobody tells one', () => {
    const standing = new Standing(['a', 'b', 'c/#']);
    standing.beginUntold('a');
    standing.take('a', at(7));
    standing.take('b', at(8));
    expect(standing.placeOf('a')).toBe('k3f9:7');
    expect(standing.placeOf('b')).toBeUndefined();
    standing.beginUntold('a');
    standing.forget('a');
    expect(standing.placeOf('a')).toBeUndefined();
  });

  test('leaves out once what a name may be brought again', () => {
    const standing = begun({ a: 'k3f9:1' });
    standing.take('a', at(3));
    standing.expectAgain();
    expect([2, 3, 4, 3].map((offset) => standing.take('a', at(offset)))).toEqual([
      ...[false, false, true],
      // Behind the new ones it is a fault.
      true,
    ]);
  });

  test('leaves out of several what has no place', () => {
    const standing = new Standing(['a', 'live']);
    standing.begin('a', 'k3f9:1');
    expect(standing.after).toBe('a=k3f9%3A1');
  });

  test('moves a name with every message, and not back', () => {
    const standing = begun({ a: 'k3f9:1' });
    expect(standing.take('a', at(2))).toBe(true);
    expect(standing.take('a', at(1))).toBe(true);
    expect(standing.after).toBe('k3f9:2');
    standing.take('a', at(1, 'new1'));
    expect(standing.after).toBe('new1:1');
  });

  test('moves a pattern by marks alone', () => {
    const standing = begun({ 'b/#': '~m1' });
    standing.take('b/x', at(9));
    expect(standing.after).toBe('~m1');
    standing.mark(['b/#'], '~m2');
    expect(standing.after).toBe('~m2');
    standing.mark(['b/#'], 'k3f9:2');
    expect(standing.after).toBe('~m2');
  });

  test('keeps the position of a name when a mark is told for all', () => {
    const standing = begun({ a: 'k3f9:1', 'b/#': '~m1' });
    standing.mark(['a', 'b/#'], '~m2');
    expect(standing.placeOf('a')).toBe('k3f9:1');
    expect(standing.placeOf('b/#')).toBe('~m2');
  });

  test('[WILD-3] leaves out what comes again after a resume by an older mark', () => {
    const standing = begun({ 'b/#': '~m1' });
    standing.take('b/x', at(8));
    standing.take('b/x', at(9));
    standing.take('b/y', at(1));
    standing.prepare();
    standing.begin('b/#', '~m1');
    expect(standing.take('b/x', at(8))).toBe(false);
    // Cut in the middle: the same comes a third time.
    standing.prepare();
    standing.begin('b/#', '~m1');
    expect([8, 9, 10].map((offset) => standing.take('b/x', at(offset)))).toEqual([
      false,
      false,
      true,
    ]);
    expect(standing.take('b/y', at(1))).toBe(false);
    expect(standing.take('b/y', at(2, 'new1'))).toBe(true);
  });

  test('expects nothing again that a mark covers', () => {
    const standing = begun({ 'b/#': '~m1' });
    standing.take('b/x', at(8));
    standing.mark(['b/#'], '~m2');
    standing.prepare();
    expect(standing.take('b/x', at(8))).toBe(true);
  });

  test('expects nothing again behind what came since', () => {
    const standing = begun({ 'b/#': '~m1' });
    standing.take('b/x', at(8));
    standing.prepare();
    standing.take('b/x', at(9));
    expect(standing.take('b/x', at(8))).toBe(true);
  });

  test('[POLL-6] knows whether its patterns stand at one mark', () => {
    const standing = begun({ a: 'k3f9:1', 'b/#': '~m1', 'c/#': '~m1' });
    expect(standing.isOnePlace).toBe(true);
    standing.mark(['b/#'], '~m2');
    expect(standing.isOnePlace).toBe(false);
    expect(begun({ a: 'k3f9:1', b: 'k3f9:2' }).isOnePlace).toBe(true);
  });

  test('forgets a place that is not good', () => {
    const standing = begun({ 'b/#': '~m1' });
    standing.begin('b/#', undefined);
    expect(standing.after).toBe('~m1');
    standing.forget('b/#');
    expect(standing.after).toBeUndefined();
  });

  test('is copied, so that two lines go on by themselves', () => {
    const standing = begun({ a: 'k3f9:1' });
    const copy = new Standing(['a'], standing);
    copy.take('a', at(2));
    expect(standing.after).toBe('k3f9:1');
    expect(copy.after).toBe('k3f9:2');
  });
});
