/** StreamServer: a server whose event streams say what the test says, when it says it. */
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** One stream that was asked for. */
export class OpenStream {
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  readonly #response: ServerResponse;

  constructor(query: URLSearchParams, headers: IncomingHttpHeaders, response: ServerResponse) {
    this.query = query;
    this.headers = headers;
    this.#response = response;
  }

  /** One event; without data it only moves the id. */
  send(type: string, id: string | undefined, data?: unknown): void {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.write(
      (id === undefined ? '' : `id: ${id}\n`) +
        (type === 'message' ? '' : `event: ${type}\n`) +
        (data === undefined ? '\n' : `data: ${text}\n\n`),
    );
  }

  write(text: string): void {
    this.#begin();
    this.#response.write(text);
  }

  /** The connection breaks. */
  break(): void {
    this.#response.destroy();
  }

  /** The stream ends as it should. */
  end(): void {
    this.#begin();
    this.#response.end();
  }

  /** Answers with something else than a stream. */
  refuse(status: number, problem: object): void {
    this.#response.writeHead(status, { 'content-type': 'application/problem+json' });
    this.#response.end(JSON.stringify(problem));
  }

  #begin(): void {
    if (this.#response.headersSent) return;
    this.#response.writeHead(200, { 'content-type': 'text/event-stream' });
  }
}

/** Starts one; streams are taken in the order in which they were asked for. */
export async function startStreamServer() {
  const streams: OpenStream[] = [];
  let waiting: (() => void)[] = [];
  let taken = 0;
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    streams.push(new OpenStream(searchParams, request.headers, response));
    const told = waiting;
    waiting = [];
    for (const resolve of told) resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    /** The next stream that is asked for. */
    async next(): Promise<OpenStream> {
      for (;;) {
        const stream = streams[taken];
        if (stream !== undefined) {
          taken += 1;
          return stream;
        }
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}
