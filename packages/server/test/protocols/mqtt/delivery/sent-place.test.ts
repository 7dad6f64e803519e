import { describe, expect, it } from 'vitest';
import { parsePlaceMark } from '../../../../src/hub/place-mark.ts';
import type { Place } from '../../../../src/protocols/mqtt/messages/place.ts';
import { afterPlace, SentPlace } from '../../../../src/protocols/mqtt/delivery/sent-place.ts';

const at = (channel: string, offset: number, epoch = 'e1'): Place => ({ channel, epoch, offset });

describe('SentPlace', () => {
  it('is a position in a subscription to one channel', () => {
    const place = new SentPlace({ epoch: 'e1', offset: 4 });
    expect(place.toString()).toBe('e1:4');
    place.reach({ mark: undefined, places: [at('a', 5), at('a', 7)] });
    expect(place.toString()).toBe('e1:7');
    // The channel began anew.
    place.reachPlace(at('a', 1, 'e2'));
    expect(place.toString()).toBe('e2:1');
    expect(afterPlace('e2:1')).toEqual({ kind: 'position', position: { epoch: 'e2', offset: 1 } });
  });

  it('is a mark in a subscription to many, and where single channels moved on since', () => {
    const place = new SentPlace('~m.1');
    expect(place.toString()).toBe('~m.1');
    place.reachPlace(at('a', 1));
    place.reach({ mark: undefined, places: [at('b', 5), at('a', 2)] });
    const text = place.toString();
    expect(parsePlaceMark(text)).toEqual({
      mark: '~m.1',
      behind: new Map([
        ['a', { epoch: 'e1', offset: 2 }],
        ['b', { epoch: 'e1', offset: 5 }],
      ]),
    });
    expect(afterPlace(text)).toEqual({ kind: 'mark', mark: text });
    place.reach({ mark: '~m.2', places: [at('a', 3)] });
    expect(place.toString()).toBe('~m.2');
  });

  it('goes on from what was kept, with positions of its own', () => {
    const before = new SentPlace('~m.1');
    before.reachPlace(at('a', 1));
    const place = new SentPlace(before.toString());
    place.reachPlace(at('b', 2));
    expect([...parsePlaceMark(place.toString()).behind.keys()]).toEqual(['a', 'b']);
  });

  it('does not move by what has no place', () => {
    const place = new SentPlace('~m.1');
    place.reachPlace(at('volatile', 0, ''));
    expect(place.toString()).toBe('~m.1');
  });

  it('stays unknown until a mark is told: a position would be taken for one of all channels', () => {
    const place = new SentPlace('');
    place.reachPlace(at('a', 1));
    expect(place.toString()).toBe('');
    expect(afterPlace(place.toString()).kind).toBe('unknown');
    place.reach({ mark: '~m.2', places: [] });
    expect(place.toString()).toBe('~m.2');
  });

  it('keeps a bounded number of channels, and those it has to the end', () => {
    const place = new SentPlace('~m.1');
    for (let index = 0; index < 20_000; index += 1) place.reachPlace(at(`c${index}`, 1));
    place.reachPlace(at('c0', 9));
    const { behind } = parsePlaceMark(place.toString());
    expect(behind.size).toBe(5_000);
    expect(behind.get('c0')?.offset).toBe(9);
  });

  it('says the mark alone, which is earlier, where there is no room for more', () => {
    const place = new SentPlace('~m.1');
    place.reachPlace(at('a', 1));
    const whole = place.toString();
    expect(place.textWithin(whole.length)).toBe(whole);
    expect(place.textWithin(whole.length - 1)).toBe('~m.1');
    expect(new SentPlace({ epoch: 'e1', offset: 4 }).textWithin(1)).toBe('e1:4');
  });

  it('takes a mark that is longer than a client may say', () => {
    const mark = `~${'m'.repeat(10_000)}`;
    expect(afterPlace(mark)).toEqual({ kind: 'mark', mark });
  });
});
