import { MemoryLink, seededRandom } from '@trunkline/testkit';
import { describe, expect, test } from 'vitest';
import { admitWebSocket } from '../../src/admission/websocket.ts';
import type { Identity } from '../../src/auth/identity.ts';
import { silentLog } from '../../src/observe/log.ts';
import type { NativeConfig } from '../../src/protocols/native/config.ts';
import { NativeProtocol } from '../../src/protocols/native/protocol.ts';
import { SILENT } from '../../src/transports/transport.ts';
import { openEcho } from '../../src/transports/websocket/echo.ts';
import { Wheel } from '../../src/wheel.ts';
import { setUp } from '../hub/hub-setup.ts';
import { head, setUpGate } from './requests.ts';

const CONFIG: NativeConfig = {
  node: 'n1',
  pingIntervalMs: 25_000,
  helloTimeoutMs: 10_000,
  subscriptionsMax: 3,
  commandsPerSecondMax: 0,
  messageBytesMax: 65_536,
  frameBytesMax: 1_048_576,
  keyWindowMs: 3_600_000,
  highWaterSize: 10_000,
};

async function setUpAdmission({ echo = false, anonymous = true } = {}) {
  const { gate, token } = await setUpGate({ anonymous });
  const { clock, hub, turn } = setUp();
  await hub.open();
  const native = new NativeProtocol({
    hub,
    clock,
    wheel: new Wheel(clock),
    random: seededRandom(3),
    log: silentLog,
    authenticator: gate.authenticator,
    config: CONFIG,
  });
  const admit = admitWebSocket(gate, echo ? { native, echo: openEcho } : { native });
  const ask = (path: string, headers: Readonly<Record<string, string>> = {}) =>
    admit(head(headers, { path, search: '' }));
  return { ask, clock, native, token, turn };
}

describe('a WebSocket at /v1/ws', () => {
  test('speaks the native protocol, as whom the handshake proved', async () => {
    const { ask, clock, native, token, turn } = await setUpAdmission({ anonymous: false });
    const admission = await ask('/v1/ws', { authorization: `Bearer ${token}` });
    if (admission.kind === 'refused') throw new Error(admission.message);
    const link = new MemoryLink({ clock, turn });
    link.attach(admission.open(link));
    await clock.settle();
    expect(JSON.parse(String(link.frames[0]))).toMatchObject({ type: 'welcome', user: 'alice' });
    expect([...native.sessions]).toHaveLength(1);
  });

  test('speaks what it chose', async () => {
    const { ask, clock, turn } = await setUpAdmission();
    const admission = await ask('/v1/ws', { 'sec-websocket-protocol': 'trunkline.v1.bin' });
    if (admission.kind === 'refused') throw new Error(admission.message);
    const link = new MemoryLink({ clock, turn });
    link.attach(admission.open(link));
    await clock.settle();
    expect(link.frames[0]).toBeInstanceOf(Uint8Array);
  });

  test('may prove nothing yet: it still can say hello', async () => {
    const { ask, clock, turn } = await setUpAdmission({ anonymous: false });
    const admission = await ask('/v1/ws');
    if (admission.kind === 'refused') throw new Error(admission.message);
    const link = new MemoryLink({ clock, turn });
    link.attach(admission.open(link));
    await clock.settle();
    expect(link.frames).toEqual([]);
    expect(link.goodbye).toBeUndefined();
  });

  test.each([
    ['trunkline.v1.json', { subprotocol: 'trunkline.v1.json' }],
    ['other, trunkline.v1.json', { subprotocol: 'trunkline.v1.json' }],
    ['trunkline.v1.bin', { subprotocol: 'trunkline.v1.bin' }],
    ['trunkline.v1.bin, trunkline.v1.json', { subprotocol: 'trunkline.v1.bin' }],
    ['trunkline.v1.json,trunkline.v1.bin', { subprotocol: 'trunkline.v1.json' }],
    ['other', {}],
    ['', {}],
  ])('that offers %s gets %o [WS-1] [BIN-1]', async (offered, expected) => {
    const { ask } = await setUpAdmission();
    const { subprotocol } = {
      subprotocol: undefined,
      ...(await ask('/v1/ws', { 'sec-websocket-protocol': offered })),
    };
    expect(subprotocol === undefined ? {} : { subprotocol }).toEqual(expected);
  });

  test('needs an allowed origin where it has one [WS-2]', async () => {
    const { ask } = await setUpAdmission();
    expect(await ask('/v1/ws', { origin: 'https://evil.example' })).toMatchObject({
      kind: 'refused',
      close: { code: 'forbidden' },
      tellInside: false,
    });
  });
});

describe('a WebSocket for MQTT', () => {
  async function setUpMqtt(anonymous: boolean) {
    const { gate, token } = await setUpGate({ anonymous });
    const { clock, hub, turn } = setUp();
    await hub.open();
    const { native } = await setUpAdmission();
    const openings: { readonly identity?: Identity }[] = [];
    const mqtt = {
      open(_link: unknown, opening: { readonly identity?: Identity }) {
        openings.push(opening);
        return SILENT;
      },
    };
    const admit = admitWebSocket(gate, { native, mqtt });
    const open = async (protocols: string, headers: Readonly<Record<string, string>> = {}) => {
      const offer = { 'sec-websocket-protocol': protocols, ...headers };
      const admission = await admit(head(offer, { path: '/v1/ws', search: '' }));
      if (admission.kind === 'refused') throw new Error(admission.message);
      admission.open(new MemoryLink({ clock, turn }));
      return admission;
    };
    return { open, openings, token };
  }

  test('takes bytes alone, and the subprotocol that its client likes best [DEV-4]', async () => {
    const { open, openings } = await setUpMqtt(true);
    expect(await open('mqtt')).toMatchObject({ subprotocol: 'mqtt', binaryOnly: true });
    expect(await open('other, mqtt, trunkline.v1.json')).toMatchObject({ subprotocol: 'mqtt' });
    expect(openings).toHaveLength(2);
    const native = await open('trunkline.v1.json, mqtt');
    expect(native).toMatchObject({ subprotocol: 'trunkline.v1.json' });
    expect(native).not.toHaveProperty('binaryOnly');
    expect(openings).toHaveLength(2);
  });

  test.each([true, false])(
    'is its token’s user, and without one nobody yet, where strangers come in: %s [DEV-5]',
    async (anonymous) => {
      const { open, openings, token } = await setUpMqtt(anonymous);
      await open('mqtt', { authorization: `Bearer ${token}` });
      await open('mqtt');
      expect(openings).toMatchObject([{ identity: { user: 'alice' } }, {}]);
      expect(openings[1]).toEqual({});
    },
  );
});

describe('a WebSocket elsewhere', () => {
  test('echoes at /v1/echo where that is served, and only there [HTTP-23]', async () => {
    const off = await setUpAdmission();
    expect(await off.ask('/v1/echo')).toMatchObject({ close: { code: 'not_found' } });
    const on = await setUpAdmission({ echo: true });
    const admission = await on.ask('/v1/echo');
    if (admission.kind === 'refused') throw new Error(admission.message);
    const link = new MemoryLink({ clock: on.clock, turn: on.turn });
    link.attach(admission.open(link));
    link.receive('hello');
    await on.clock.settle();
    expect(link.frames).toEqual(['hello']);
  });

  test('finds nothing, and is told the path', async () => {
    const { ask } = await setUpAdmission({ echo: true });
    expect(await ask('/v1/nothing')).toMatchObject({
      kind: 'refused',
      close: { code: 'not_found' },
      message: 'no WebSocket is served at /v1/nothing; /v1/ws is where one is, MQTT included',
    });
  });
});
