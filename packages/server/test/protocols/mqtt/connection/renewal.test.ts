import { subscribePacket } from '@trunkline/testkit';
import type { MqttPeer } from '@trunkline/testkit';
import { describe, expect, it } from 'vitest';
import { startMqtt } from '../mqtt-setup.ts';

const METHOD = 'token';

/** A client whose CONNECT named the method, or did not. */
async function connect(
  peer: MqttPeer,
  token: string,
  authenticationMethod: string | undefined = METHOD,
) {
  const authenticationData = Buffer.from(token);
  await peer.connect({ properties: { authenticationMethod, authenticationData } });
}

async function renew(peer: MqttPeer, token: string | undefined, method = METHOD, reason = 0x19) {
  const data = token === undefined ? {} : { authenticationData: Buffer.from(token) };
  await peer.send({ kind: 'auth', reason, properties: { authenticationMethod: method, ...data } });
}

describe('Renewal', () => {
  it('[MQTT-4.12.1-1] gives the session a new token, and it stays connected', async () => {
    const { peer, clock } = await startMqtt();
    const client = peer();
    await connect(client, 'alice');
    await clock.pass(50_000);
    await renew(client, 'alice');
    expect(client.expectPacket('auth')).toMatchObject({
      reason: 0,
      properties: { authenticationMethod: METHOD },
    });
    await clock.pass(50_000);
    expect(client.isOver).toBe(false);
    await clock.pass(10_500);
    expect(client.expectEnd()).toBe(0x87);
  });

  it('gives it the rights of the new token', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await connect(client, 'alice a=publish');
    await client.publish('b', 'x', { qos: 1 });
    expect(client.expectPacket('puback').reason).toBe(0x87);
    await renew(client, 'alice b=publish');
    client.expectPacket('auth');
    await client.publish('b', 'x', { qos: 1 });
    expect(client.expectPacket('puback').reason).toBe(0);
  });

  it.each([
    ['is not good', 'eve', METHOD, 0x87],
    ['is missing', undefined, METHOD, 0x87],
    ['is of another user', 'bob', METHOD, 0x87],
    ['does not allow what is subscribed to', 'alice b=subscribe', METHOD, 0x87],
    ['comes with another method', 'alice', 'SCRAM', 0x82],
  ] as const)(
    '[MQTT-4.12.1-2] ends the connection where the token %s',
    async (_, token, method, reason) => {
      const { peer } = await startMqtt();
      const client = peer();
      await connect(client, 'alice');
      await client.subscribe(['a']);
      await renew(client, token, method);
      expect(client.expectEnd()).toBe(reason);
      client.expectNothing();
    },
  );

  it('[MQTT-4.12.0-6] is not for who named no method in CONNECT', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await client.connect({ userName: 'alice', password: 'alice' });
    await renew(client, 'alice');
    expect(client.expectEnd()).toBe(0x82);
  });

  it('takes one step', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await connect(client, 'alice');
    await renew(client, 'alice', METHOD, 0x18);
    expect(client.expectEnd()).toBe(0x82);
  });

  it('holds up what is behind it', async () => {
    const { peer } = await startMqtt();
    const client = peer();
    await connect(client, 'alice a=publish');
    const properties = {
      authenticationMethod: METHOD,
      authenticationData: Buffer.from('alice b=subscribe'),
    };
    await client.send({ kind: 'auth', reason: 0x19, properties }, subscribePacket(1, ['b']));
    client.expectPacket('auth');
    expect(client.expectPacket('suback').reasons).toEqual([0]);
  });
});
