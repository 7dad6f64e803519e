/** A server whose log can be read, and whose publishes can be held. */
import type { PublishRequest } from '../../../../src/hub/hub-types.ts';
import { anonymous, startMqtt } from '../mqtt-setup.ts';
import type { MqttWorld } from '../mqtt-setup.ts';

/** A server, and what is in its log. */
export async function start(world: MqttWorld = {}) {
  const server = await startMqtt(world);
  const { hub } = server;
  const logged = async (channel = 'a') => {
    const caller = { identity: anonymous, session: 's1' };
    const { messages } = await hub.history(caller, channel, { countMax: 1_000 });
    return messages;
  };
  const texts = async (channel = 'a') => {
    return (await logged(channel)).map(({ payload }) => Buffer.from(payload).toString());
  };
  return { ...server, logged, texts };
}

/** Publishes to the hub wait until they are let through, or fail. */
export function holdPublishes(server: Awaited<ReturnType<typeof start>>) {
  const { hub } = server;
  const publish = hub.publish.bind(hub);
  const waiting: { go: () => void; fail: (error: Error) => void; request: PublishRequest }[] = [];
  hub.publish = async (caller, channel, request) => {
    await new Promise<void>((go, fail) => void waiting.push({ go, fail, request }));
    return publish(caller, channel, request);
  };
  return waiting;
}
