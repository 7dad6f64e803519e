/** A page that reads one channel, alone or together with its neighbours, and keeps what it got. */
import { connect, longPoll, sse, websocket } from '@trunkline/client';
import { sharedTransport } from '@trunkline/client/tabs';

const query = new URLSearchParams(location.search);
const transports = query.get('transports') === 'all' ? [websocket, sse, longPoll] : [sse];
const share = query.get('share');

const worker = (name: string) => new SharedWorker('/worker.js', { type: 'module', name });
const shared = () => [sharedTransport({ transports, ...(share === 'worker' && { worker }) })];

/** What the test asks for. `streamCount`: event streams that this tab has asked for. */
const shown = {
  got: [] as unknown[],
  faults: [] as string[],
  streamCount: 0,
  line: connect(query.get('server') ?? '', {
    transports: share === 'no' ? transports : shared(),
    fetch: (input, init) => {
      if (new Request(input).url.includes('/v1/sse')) shown.streamCount += 1;
      return fetch(input, init);
    },
  }),
};
Object.assign(globalThis, { shown });

void (async () => {
  for await (const message of shown.line.channel('room/1')) {
    shown.got.push(message.data);
  }
})().catch((error: unknown) => shown.faults.push(String(error)));
