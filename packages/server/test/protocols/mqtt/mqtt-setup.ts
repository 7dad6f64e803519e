/** A server's MQTT protocol over memory links, on a manual clock. */
import { ManualClock, MqttPeer, seededRandom } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import type { MqttPeerOptions } from '@trunkline/testkit';
import type { Identity } from '../../../src/auth/identity.ts';
import { createEmbeddedBroker } from '../../../src/backplanes/embedded/create.ts';
import type { StateStore } from '../../../src/broker/state.ts';
import { OPEN_NAMESPACE } from '../../../src/config/namespace-rules.ts';
import type { NamespaceRules } from '../../../src/config/namespace-rules.ts';
import { Hub } from '../../../src/hub/hub.ts';
import type { PublishRequest } from '../../../src/hub/hub-types.ts';
import { Turn } from '../../../src/link/turn.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { Log } from '../../../src/observe/log.ts';
import type { MqttConfig, MqttParts } from '../../../src/protocols/mqtt/parts.ts';
import { MqttProtocol } from '../../../src/protocols/mqtt/protocol.ts';
import { Wheel } from '../../../src/wheel.ts';

/** Limits as small as a test likes them. */
export const CONFIG: MqttConfig = {
  packetBytesMax: 100_000,
  connectMs: 10_000,
  keepAliveSecondsMax: 0,
  sessionExpirySecondsMax: 86_400,
  clientIdLengthMax: 64,
  inflightMax: 8,
  receiveMaximum: 4,
  topicAliasMax: 2,
  subscriptionsMax: 10,
  commandsPerSecondMax: 0,
  sessionsMax: 0,
  sessionsPerUserMax: 0,
  ackSaveMs: 1_000,
  sysIntervalMs: 10_000,
  highWaterSize: 10_000,
};

const ALL = new Set(['subscribe', 'publish', 'history', 'presence'] as const);

/** Nobody knows who it is; it may do everything. */
export const anonymous: Identity = { kind: 'anonymous', grants: new Map([['#', ALL]]) };

/** What of the server a test wants otherwise. */
export interface MqttWorld {
  readonly config?: Partial<MqttConfig>;
  readonly rulesOf?: (channel: string) => Partial<NamespaceRules>;
  /** What stands between the sessions and their records. */
  readonly stateOf?: (state: StateStore) => StateStore;
  /** What stands between the protocol and who logs in. */
  readonly loginOf?: (login: FromLogin) => FromLogin;
  readonly refusal?: () => CodedError | undefined;
  readonly log?: Log;
}

type FromLogin = MqttParts['authenticator']['fromLogin'];

/** A node whose broker keeps all in memory, and everything a test needs of it. */
export async function startMqtt(world: MqttWorld = {}) {
  const { config = {}, rulesOf = () => ({}), refusal = () => undefined, log = silentLog } = world;
  const { stateOf = (state) => state, loginOf = (login) => login } = world;
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const random = seededRandom(7);
  const wheel = new Wheel(clock);
  const broker = createEmbeddedBroker({ clock, random, log: silentLog });
  const hub = new Hub({
    ...{ broker, clock, turn, wheel, random, log: silentLog },
    config: {
      rulesOf: (channel) => ({ ...OPEN_NAMESPACE, ...rulesOf(channel) }),
      allowsWhole: () => true,
      node: 'n1',
      keyWindowMs: 3_600_000,
      highWaterSize: 10_000,
      checkIntervalMs: 40_000,
    },
  });
  await hub.open();
  const make = () =>
    new MqttProtocol({
      ...{ hub, clock, random },
      state: stateOf(broker.state),
      wheel,
      log,
      authenticator: {
        fromLogin: loginOf(({ user, password }) => {
          if (password === undefined) return { kind: 'identity', identity: anonymous };
          return fromToken(Buffer.from(password).toString(), clock.unixMs(), user);
        }),
        fromToken: (token) => fromToken(token, clock.unixMs()),
      },
      config: { ...CONFIG, ...config },
      refusal,
    });
  const protocol = make();
  /** Publishes as a client of another protocol does. */
  const publish = async (channel: string, payload: string, more: Partial<PublishRequest> = {}) => {
    const caller = { identity: anonymous, session: 's1' };
    const position = await hub.publish(caller, channel, { payload: Buffer.from(payload), ...more });
    await clock.settle();
    return position;
  };
  const peersOf =
    (node: MqttProtocol) =>
    (options: Partial<Omit<MqttPeerOptions, 'clock' | 'turn'>> = {}) =>
      new MqttPeer({ clock, turn, open: (link) => node.open(link), ...options });
  /** The next life of the server: it finds what is stored, and nothing else of this one. */
  const restart = async () => {
    const next = make();
    next.start();
    await clock.settle();
    return { protocol: next, peer: peersOf(next) };
  };
  return { broker, clock, hub, turn, wheel, protocol, peer: peersOf(protocol), restart, publish };
}

/** `alice` and `bob` are themselves; `alice/…` may do so much, e.g. `alice/a/#=subscribe`. */
function fromToken(token: string, nowMs: number, _user?: string) {
  const [user = '', ...grants] = token.split(' ');
  if (user !== 'alice' && user !== 'bob') {
    const error = new CodedError('unauthenticated', 'no such token');
    return { kind: 'refused', error } as const;
  }
  const granted = grants.map((grant) => {
    const [pattern = '', actions = ''] = grant.split('=');
    return [pattern, new Set(actions.split(','))] as const;
  });
  const identity: Identity = {
    kind: 'user',
    user,
    grants: new Map(granted.length === 0 ? [['#', ALL]] : granted) as Identity['grants'],
    expiresAt: nowMs + 60_000,
  };
  return { kind: 'identity', identity } as const;
}
