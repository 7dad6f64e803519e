/** What a server has to be after anything that was done to it: alive, quiet inside, and complete. */
import { expect } from 'vitest';
import type { UncaughtErrors } from '../../src/faults.ts';
import type { LabServer } from '../../src/server.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

let count = 0;

/** A client that does everything right is served, and nothing broke inside. */
export async function expectHealthy(server: LabServer, errors: UncaughtErrors): Promise<void> {
  count += 1;
  const channel = `health/${count}`;
  expect((await server.get('/healthz')).status).toBe(200);
  using peer = await WebSocketPeer.open(server.port);
  await peer.nextOf('welcome');
  expect(await peer.call({ type: 'subscribe', id: 1, channel })).toMatchObject({
    type: 'subscribed',
  });
  await server.publish(channel, 'well');
  expect(await peer.nextOf('message')).toMatchObject({ channel, offset: 1, data: 'well' });
  expect(server.faults).toEqual([]);
  expect(errors.found).toEqual([]);
}

/** Everything that was acknowledged stands in the channel, once, at its place. */
export async function expectStored(
  server: LabServer,
  channel: string,
  acknowledged: ReadonlyMap<number, unknown>,
): Promise<void> {
  const found = new Map<number, unknown>();
  for (let after = 'start'; ; ) {
    const search = new URLSearchParams({ channel, after, limit: '1000' }).toString();
    const page = (await server.get(`/v1/history?${search}`)).json<{
      readonly messages: readonly { readonly offset: number; readonly data: unknown }[];
      readonly position: string;
      readonly more?: boolean;
    }>();
    for (const { offset, data } of page.messages) {
      expect(found.has(offset)).toBe(false);
      found.set(offset, data);
    }
    if (page.more !== true) break;
    after = page.position;
  }
  for (const [offset, data] of acknowledged) expect(found.get(offset)).toEqual(data);
}
