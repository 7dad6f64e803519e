import { MemoryLink, seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { admitEventStream } from '../../src/admission/event-stream.ts';
import { silentLog } from '../../src/observe/log.ts';
import { EventStreamProtocol } from '../../src/protocols/eventstream/protocol.ts';
import type { RequestHead } from '../../src/http/request.ts';
import { Wheel } from '../../src/wheel.ts';
import { setUp } from '../hub/hub-setup.ts';
import { ALLOWED, head, setUpGate } from './requests.ts';

async function setUpAdmission(anonymous = true) {
  const { gate, token } = await setUpGate({ anonymous });
  const closed = { allow: { anonymous: ['subscribe' as const], user: [] } };
  const world = setUp(anonymous ? {} : closed);
  await world.hub.open();
  const { clock, hub } = world;
  const wheel = new Wheel(clock);
  const protocol = new EventStreamProtocol({ hub, wheel, clock, log: silentLog, retryMs: 1_000 });
  const admit = admitEventStream({ gate, hub, random: seededRandom(3), protocol });
  const open = async (request: RequestHead): Promise<string> => {
    const admission = await admit(request);
    if (admission.kind === 'refused') throw new Error(admission.message);
    const link = new MemoryLink({ clock, turn: world.turn });
    link.attach(admission.open(link));
    await clock.settle();
    return link.takeFrames().join('');
  };
  return { ...world, admit, open, token };
}

describe('a request for an event stream', () => {
  test('is served from where it asks', async () => {
    const { open, publish } = await setUpAdmission();
    await publish(3);
    const text = await open(head({}, { search: 'channel=news&after=e1:1' }));
    expect(text).toContain('"positions":{"news":"e1:1"},"recovered":{"news":true}');
    expect(text).toContain('id: e1:2\ndata: 1\n\nid: e1:3\ndata: 1\n\n');
  });

  test('goes on from the id its browser hands back, whatever its address says [SSE-1]', async () => {
    const { open, publish } = await setUpAdmission();
    await publish(3);
    const text = await open(
      head({ 'last-event-id': 'e1:2' }, { search: 'channel=news&after=start' }),
    );
    expect(text).toContain('"positions":{"news":"e1:2"}');
  });

  test('has CORS headers for its page', async () => {
    const { admit } = await setUpAdmission();
    expect(await admit(head({ origin: ALLOWED }))).toMatchObject({
      kind: 'welcome',
      headers: { 'access-control-allow-origin': ALLOWED },
    });
  });

  test.each([
    ['channel=', 'bad_request'],
    ['channel=news&envelope=yes', 'bad_request'],
    ['channel=a/%2Bb', 'bad_request'],
    ['channel=news&last=many', 'bad_request'],
    ['channel=@alice', 'forbidden'],
  ])('for "%s" is refused with %s', async (search, code) => {
    const { admit } = await setUpAdmission();
    expect(await admit(head({}, { search }))).toMatchObject({ kind: 'refused', close: { code } });
  });

  test('without a channel reads nothing, where its reader is known [SSE-13]', async () => {
    const { open, publish } = await setUpAdmission();
    await publish(1);
    expect(await open(head({}, { search: '' }))).toMatch(
      /^retry: 1000\nevent: open\ndata: \{"session":".+","positions":\{\},"recovered":\{\},"gaps":\{\}\}\n\n$/,
    );
    const { admit } = await setUpAdmission(false);
    expect(await admit(head())).toMatchObject({ close: { code: 'unauthenticated' } });
  });

  test('has message objects where it asks for them [SSE-12]', async () => {
    const { open, publish } = await setUpAdmission();
    await publish(1);
    const text = await open(head({}, { search: 'channel=news&after=start&envelope=1' }));
    expect(text).toContain('\n\nid: e1:1\ndata: {"channel":"news","offset":1,"epoch":"e1","time":');
  });

  test('needs a token where strangers are not let in, and one that allows it', async () => {
    const { admit, token } = await setUpAdmission(false);
    expect(await admit(head())).toMatchObject({ close: { code: 'unauthenticated' } });
    const withToken = (channel: string): RequestHead =>
      head({}, { search: `channel=${channel}&access_token=${token}` });
    expect(await admit(withToken('news'))).toMatchObject({ kind: 'welcome' });
    expect(await admit(withToken('other'))).toMatchObject({ close: { code: 'forbidden' } });
  });
});
