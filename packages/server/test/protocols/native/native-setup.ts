/** A session of the native protocol over a memory link, on a manual clock. */
import { MemoryLink, seededRandom } from '@trunkline/testkit';
import { CodedError } from '@trunkline/wire';
import type { Identity } from '../../../src/auth/identity.ts';
import { silentLog } from '../../../src/observe/log.ts';
import type { NativeConfig } from '../../../src/protocols/native/config.ts';
import { NativeProtocol } from '../../../src/protocols/native/protocol.ts';
import { Wheel } from '../../../src/wheel.ts';
import { setUp } from '../../hub/hub-setup.ts';

/** A client that nobody knows. */
export const anonymous: Identity = { kind: 'anonymous', grants: new Map() };

/** A frame of the server, parsed. */
export interface Reply {
  readonly type: string;
  readonly id?: number;
  readonly [field: string]: unknown;
}

/** A session over a memory link, and its hub. */
export async function connect(
  identity: Identity | 'unknown' = anonymous,
  changes: Partial<NativeConfig> = {},
) {
  const setup = setUp();
  const { clock, hub, turn } = setup;
  await hub.open();
  const alice: Identity = {
    kind: 'user',
    user: 'alice',
    grants: new Map([['#', new Set(['subscribe', 'publish', 'history'] as const)]]),
    expiresAt: clock.unixMs() + 60_000,
  };
  const protocol = new NativeProtocol({
    hub,
    clock,
    wheel: new Wheel(clock),
    random: seededRandom(7),
    log: silentLog,
    authenticator: {
      fromToken: (token) => {
        if (token === 'alice') return { kind: 'identity', identity: alice };
        if (token === 'poor') {
          return { kind: 'identity', identity: { ...alice, grants: new Map() } };
        }
        if (token === 'key') {
          return { kind: 'identity', identity: { kind: 'server', grants: new Map() } };
        }
        if (token === 'bob') return { kind: 'identity', identity: { ...alice, user: 'bob' } };
        return { kind: 'refused', error: new CodedError('unauthenticated', 'no such token') };
      },
      fromTicket: (ticket) =>
        ticket === 'back'
          ? { kind: 'identity', identity: alice }
          : { kind: 'refused', error: new CodedError('unauthenticated', 'no such ticket') },
      ticketFor: () => 'back',
    },
    config: {
      node: 'n1',
      pingIntervalMs: 25_000,
      helloTimeoutMs: 10_000,
      subscriptionsMax: 3,
      commandsPerSecondMax: 0,
      messageBytesMax: 65_536,
      frameBytesMax: 1_048_576,
      keyWindowMs: 3_600_000,
      highWaterSize: 10_000,
      ...changes,
    },
  });
  const link = new MemoryLink({ clock, turn });
  link.attach(protocol.open(link, identity === 'unknown' ? undefined : identity));
  await clock.settle();
  const take = (): Reply[] =>
    link
      .takeFrames()
      .flatMap((frame) => String(frame).split('\n'))
      .map((line) => JSON.parse(line) as Reply);
  const say = async (...commands: (object | string)[]): Promise<Reply[]> => {
    for (const command of commands) {
      link.receive(typeof command === 'string' ? command : JSON.stringify(command));
    }
    await clock.settle();
    return take();
  };
  return { ...setup, link, protocol, say, take };
}
