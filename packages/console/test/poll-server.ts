/** PollServer: a server on a free port that answers each request as the test says. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What is answered; `hold` keeps the request waiting until the test ends. */
export interface PollAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The body as it is, instead of `body` as JSON. */
  readonly raw?: Uint8Array;
  readonly hold?: true;
}

/** What was asked. */
export interface PollRequest {
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Starts one; a request beyond the answers given is held. */
export async function startPollServer(answers: readonly PollAnswer[]) {
  const requests: PollRequest[] = [];
  let waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '/', 'http://localhost');
    const answer = answers[requests.length] ?? { hold: true };
    requests.push({ query: Object.fromEntries(searchParams), headers: request.headers });
    const told = waiting;
    waiting = [];
    for (const resolve of told) resolve();
    if (answer.hold === true) return;
    response.writeHead(answer.status ?? 200, {
      'content-type': 'application/json',
      ...answer.headers,
    });
    response.end(answer.raw ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${String(port)}`,
    requests,
    /** Resolves once this many requests came. */
    async asked(count: number): Promise<void> {
      while (requests.length < count) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
  };
}

/** A poll's answer for `room/42` in epoch `k3f9`. */
export function news(
  offsets: readonly number[],
  position: number,
  more: Readonly<Record<string, unknown>> = {},
): PollAnswer {
  const messages = offsets.map((offset) => ({
    channel: 'room/42',
    epoch: 'k3f9',
    offset,
    time: 1,
    data: offset,
  }));
  return {
    body: {
      messages,
      positions: { 'room/42': `k3f9:${String(position)}` },
      recovered: {},
      gaps: {},
      ...more,
    },
  };
}

/** The member of an answer that says that nothing was missed. */
export const RECOVERED = { recovered: { 'room/42': true } };
