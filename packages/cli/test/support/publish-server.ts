/** A server that only takes publishes, on a real socket, and says that it is there. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One message of a request, as it was sent. */
export interface Taken {
  readonly channel: string;
  readonly data?: unknown;
  readonly contentType?: string;
  readonly event?: string;
  readonly key?: string;
}

export interface PublishServer extends AsyncDisposable {
  readonly url: string;
  /** In the order they came. */
  readonly taken: Taken[];
  /** How many messages each request carried. */
  readonly batches: number[];
  /** How many requests were under way at once, at most. */
  readonly mostAtOnce: number;
  /** The tokens that were sent. */
  readonly authorizations: Set<string | undefined>;
}

/**
 * Starts one.
 *
 * @param refuse what a message gets instead of an offset, if anything; `'break'` cuts the connection.
 */
export async function startPublishServer(
  refuse: (message: Taken) => object | 'break' | undefined = () => undefined,
): Promise<PublishServer> {
  const taken: Taken[] = [];
  const batches: number[] = [];
  const authorizations = new Set<string | undefined>();
  let atOnce = 0;
  let mostAtOnce = 0;
  const server = createServer((request, response) => {
    // A failure here is a broken request there.
    take(request, response).catch(() => request.socket.destroy());
  });
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    if (request.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    authorizations.add(request.headers.authorization);
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const parsed = JSON.parse(body) as Taken | Taken[];
    const messages = Array.isArray(parsed) ? parsed : [parsed];
    batches.push(messages.length);
    atOnce -= 1;
    const answers = messages.map((message) => {
      taken.push(message);
      const offset = taken.length;
      const published = { channel: message.channel, offset, epoch: 'e', position: `e:${offset}` };
      return refuse(message) ?? published;
    });
    if (answers.includes('break')) {
      request.socket.destroy();
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(Array.isArray(parsed) ? answers : answers[0]));
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    taken,
    batches,
    authorizations,
    get mostAtOnce() {
      return mostAtOnce;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
