import { MemoryLink } from '@trunkline/testkit';
import type { ServerFrame } from '@trunkline/wire';
import { describe, expect, test } from 'vitest';
import { jsonCodec } from '../../../src/protocols/native/codec.ts';
import { SubscriberApart } from '../../../src/protocols/native/subscriber-apart.ts';
import { anyone, setUp } from '../../hub/hub-setup.ts';

describe('a session as one of its subscriptions apart sees it', () => {
  test('has the link, and is told everything with the number [APART-2]', () => {
    const link = new MemoryLink(setUp());
    const told: ServerFrame[] = [];
    const session = { link, caller: () => anyone, tell: (frame: ServerFrame) => told.push(frame) };
    const subscriber = new SubscriberApart(session, 7, jsonCodec.apart(7));
    subscriber.onMark(['a/+'], '~1');
    subscriber.onGap('a/1', { reason: 'trimmed' }, { epoch: 'e1', offset: 3 });
    expect(told).toEqual([
      { type: 'mark', channel: 'a/+', mark: '~1', as: 7 },
      { type: 'gap', channel: 'a/1', gap: { reason: 'trimmed' }, position: 'e1:3', as: 7 },
    ]);
    expect([subscriber.link, subscriber.caller()]).toEqual([link, anyone]);
    expect(subscriber.encoding).toBe(jsonCodec.apart(7).encoding);
    expect(subscriber.presenceEncoding).toBe(jsonCodec.apart(7).presence);
  });
});
