/**
 * One reader in Chromium that changes its transport: WebSocket until it drops, then SSE, then long
 * polling, with the server killed in between. It hands over nothing but its position.
 */
import { expect, test } from 'vitest';
import { Chromium } from '../../src/chromium.ts';
import { NodeProcess } from '../../src/node-process.ts';

/** Runs in the page: reads over one transport until `until` messages have come. */
interface Leg {
  readonly transport: 'websocket' | 'sse' | 'poll';
  readonly after: string;
  readonly until: number;
}

interface Result {
  readonly offsets: number[];
  readonly position: string;
  readonly recovered: boolean | undefined;
}

/** Evaluated in the browser: bare calls only, nothing from outside. */
async function readInPage({ transport, after, until }: Leg): Promise<Result> {
  const channel = 'room/7';
  const offsets: number[] = [];
  let position = after;
  let recovered: boolean | undefined;
  const take = (place: string): void => {
    position = place;
    offsets.push(Number(place.split(':')[1]));
  };
  if (transport === 'poll') {
    while (offsets.length < until) {
      const query = new URLSearchParams({ channel, after: position, wait: '20', limit: '7' });
      const answer = await (await fetch(`/v1/poll?${query.toString()}`)).json();
      recovered ??= answer.recovered[channel];
      // It drops when it has enough, wherever that is in the answer.
      for (const { epoch, offset } of answer.messages.slice(0, until - offsets.length)) {
        take(`${epoch}:${offset}`);
      }
    }
    return { offsets, position, recovered };
  }
  await new Promise<void>((resolve, reject) => {
    const end = (close: () => void): void => {
      if (offsets.length < until) return;
      close();
      resolve();
    };
    if (transport === 'sse') {
      const query = new URLSearchParams({ channel, after });
      const source = new EventSource(`/v1/sse?${query.toString()}`);
      source.addEventListener('open', (event) => {
        if (event instanceof MessageEvent) recovered = JSON.parse(event.data).recovered[channel];
      });
      source.onmessage = ({ lastEventId }) => {
        if (offsets.length < until) take(lastEventId);
        end(() => source.close());
      };
      source.onerror = () => reject(new Error('the stream broke'));
      return;
    }
    const address = `${location.origin.replace('http', 'ws')}/v1/ws`;
    const socket = new WebSocket(address, 'trunkline.v1.json');
    socket.onopen = () => socket.send(JSON.stringify({ type: 'subscribe', id: 1, channel, after }));
    socket.onmessage = ({ data }) => {
      for (const line of String(data).split('\n')) {
        const frame = JSON.parse(line);
        if (frame.type === 'subscribed') recovered = frame.recovered;
        if (frame.type === 'message' && offsets.length < until) {
          take(`${frame.epoch}:${frame.offset}`);
        }
      }
      end(() => socket.close());
    };
    socket.onerror = () => reject(new Error('the socket broke'));
  });
  return { offsets, position, recovered };
}

test.each([
  ['HTTP/1.1', []],
  ['HTTPS and HTTP/2', ['--tls-dev']],
])(
  'over %s a reader goes from WebSocket to SSE to polling, and misses nothing',
  async (_versions, flags) => {
    await using server = await NodeProcess.start(...flags);
    await using browser = await Chromium.launch({ trustAll: true });
    const page = await browser.open(server.url);
    const publish = async (count: number): Promise<void> => {
      for (let done = 0; done < count; done += 1) await server.publish('room/7', { done });
    };
    const seen: number[] = [];
    let position = 'start';
    const read = async (transport: Leg['transport'], until: number): Promise<void> => {
      const result = await page.evaluate(readInPage, { transport, after: position, until });
      expect(result.recovered, transport).toBe(true);
      seen.push(...result.offsets);
      position = result.position;
    };

    await publish(40);
    await read('websocket', 25); // It drops in the middle of what there is.
    await publish(10);
    await read('sse', 13);
    await server.kill();
    await server.start();
    await publish(10);
    await read('poll', 15);
    // And back again, live: the messages come while it listens.
    const live = read('websocket', 12);
    await publish(5);
    await live;
    expect(seen).toEqual(Array.from({ length: 65 }, (_, index) => index + 1));
  },
  120_000,
);
