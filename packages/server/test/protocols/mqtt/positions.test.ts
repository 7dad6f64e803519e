/** What a client is told that asks for positions [DEV-31]. */
import { describe, expect, it } from 'vitest';
import {
  POSITION_PROPERTY,
  POSITIONS_PROPERTY,
  SESSION_PROPERTY,
} from '../../../src/protocols/mqtt/messages/encoding.ts';
import { startMqtt } from './mqtt-setup.ts';

const KEPT = { clientId: 'k', clean: false, expiry: 600 };

describe('a session that asks for positions', () => {
  it('[DEV-31] tells its word, the same over its connections', async () => {
    const { peer } = await startMqtt();
    const properties = { userProperties: [[POSITIONS_PROPERTY, '1'] as const] };
    const wordOf = async (more: object): Promise<string | undefined> => {
      const client = peer();
      const connack = await client.connect({ ...KEPT, ...more });
      await client.drop();
      const [[name, word] = []] = connack.properties.userProperties ?? [];
      expect(name).toBe(word === undefined ? undefined : SESSION_PROPERTY);
      return word;
    };
    const word = await wordOf({ properties });
    expect(word).toMatch(/^[\w-]{16}$/);
    expect(await wordOf({ properties })).toBe(word);
    expect(await wordOf({})).toBeUndefined();
    const small = { properties: { ...properties, maximumPacketSize: 40 } };
    expect(await wordOf(small)).toBeUndefined();
  });

  it('[DEV-31] says where each message stands, and to nobody else', async () => {
    const { peer, publish } = await startMqtt();
    const client = peer();
    await client.connect({ properties: { userProperties: [[POSITIONS_PROPERTY, '1']] } });
    await client.subscribe(['a']);
    const position = await publish('a', 'x');
    const [[name, text] = []] = client.expectPacket('publish').properties.userProperties ?? [];
    expect(name).toBe(POSITION_PROPERTY);
    expect(text).toBe(`${position?.epoch}:${position?.offset}`);
    const other = peer();
    await other.connect();
    await other.subscribe(['a']);
    await publish('a', 'x');
    expect(other.expectPacket('publish').properties.userProperties).toBeUndefined();
  });
});
