/**
 * @trunkline/client/worker: the script of the worker that has the connection of all tabs. It is an
 * ES module with its transports in it; bundlers find it by
 * `new SharedWorker(new URL('@trunkline/client/worker', import.meta.url), { type: 'module', name })`.
 */
import { binary } from '../encodings/binary.ts';
import { exactJson } from '../encodings/exact.ts';
import { json } from '../encodings/json.ts';
import { platformOf } from '../platform.ts';
import { longPoll } from '../transports/long-poll.ts';
import { sse } from '../transports/sse.ts';
import { websocket } from '../transports/websocket.ts';
import { lineUpstream } from './line-upstream.ts';
import { messagePort } from './ports.ts';
import { idOf, ownLocks } from './shared-transport.ts';
import { WorkerHost } from './worker-host.ts';

/** The part of a shared worker's global object that is used here. */
interface WorkerScope extends EventTarget {
  readonly name: string;
}

const scope = globalThis as WorkerScope & typeof globalThis;
const platform = platformOf({});
const host = new WorkerHost({
  group: scope.name,
  platform,
  locks: ownLocks(),
  encodings: [json, exactJson, binary],
  newId: () => idOf(platform),
  openUpstream: lineUpstream([websocket, sse, longPoll]),
});

scope.addEventListener('connect', (event) => {
  const [port] = (event as MessageEvent).ports;
  if (port !== undefined) host.accept(messagePort(port));
});
