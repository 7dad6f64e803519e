/** A server whose clients share subscriptions, and which can be cut off in the middle of everything. */
import type { MqttPeer } from '@trunkline/testkit';
import type { StateStore } from '../../../../src/broker/state.ts';
import type { Publish, Qos } from '../../../../src/protocols/mqtt/codec/packets.ts';
import { startMqtt } from '../mqtt-setup.ts';
import type { MqttWorld } from '../mqtt-setup.ts';

/** What the tests share. */
export const SHARE = '$share/g/a/#';

/** Who comes: a session that is kept for a minute where `kept`. */
export interface ComingOptions {
  readonly version?: 4 | 5;
  readonly qos?: Qos;
  readonly kept?: boolean;
  readonly autoAck?: boolean;
  readonly receiveMaximum?: number;
  readonly filter?: string;
  readonly password?: string;
  readonly packetSizeMax?: number;
}

/**
 * A server, its clients, and a way to cut it off.
 *
 * @param onPut what a write to the store waits for.
 */
export async function startShare(
  world: MqttWorld = {},
  onPut: (key: string) => Promise<void> = async () => {},
) {
  const lives: { isOver: boolean }[] = [];
  const node = await startMqtt({
    ...world,
    stateOf: (state) => {
      const life = { isOver: false };
      lives.push(life);
      return mortal(state, life, onPut);
    },
  });
  let peer = node.peer;
  /** The connection of a client, without subscribing. */
  const connect = async (clientId: string, options: ComingOptions = {}) => {
    const { version = 5, kept = false, autoAck = false, receiveMaximum, packetSizeMax } = options;
    const made = peer({ autoAck });
    const { password } = options;
    const connack = await made.connect({
      version,
      clientId,
      clean: !kept,
      ...(kept && version === 5 ? { expiry: 60 } : {}),
      ...(password === undefined ? {} : { userName: 'u', password }),
      properties: {
        ...(receiveMaximum === undefined ? {} : { receiveMaximum }),
        ...(packetSizeMax === undefined ? {} : { maximumPacketSize: packetSizeMax }),
      },
    });
    return Object.assign(made, { connack });
  };
  /** A client that shares. */
  const join = async (clientId: string, options: ComingOptions = {}) => {
    const { qos = 1, filter = SHARE } = options;
    const made = await connect(clientId, options);
    const { reasons } = await made.subscribe({ filter, qos });
    if (reasons[0] !== qos) throw new Error(`expected ${qos}, got ${String(reasons)}`);
    return made;
  };
  /** The server is gone at once, and another one takes its place. */
  const crash = async () => {
    for (const life of lives) life.isOver = true;
    ({ peer } = await node.restart());
  };
  return { ...node, connect, join, crash };
}

/** A store that does nothing any more, and never answers, once its life is over. */
function mortal(
  state: StateStore,
  life: { isOver: boolean },
  onPut: (key: string) => Promise<void>,
): StateStore {
  const ifAlive = <T>(work: () => Promise<T>): Promise<T> => {
    if (life.isOver) return new Promise<T>(() => {});
    return work().then((value) => (life.isOver ? new Promise<T>(() => {}) : value));
  };
  return {
    get: (key) => ifAlive(() => state.get(key)),
    put: (key, value, options) =>
      ifAlive(async () => {
        await onPut(key);
        return life.isOver ? undefined : state.put(key, value, options);
      }),
    delete: (key, condition) => ifAlive(() => state.delete(key, condition)),
    list: (prefix, page) => ifAlive(() => state.list(prefix, page)),
  };
}

/** What a client was sent, all of it so far. */
export function publishes({ received }: Pick<MqttPeer, 'received'>): Publish[] {
  return received.filter((packet) => packet.kind === 'publish');
}

/** The payloads of that. */
export function texts(peer: Pick<MqttPeer, 'received'>): string[] {
  return publishes(peer).map(({ payload }) => Buffer.from(payload).toString());
}
