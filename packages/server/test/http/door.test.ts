import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '@trunkline/testkit';
import { Connections } from '@trunkline/server/internal/http/connections.ts';
import { type Branch, Door, type LastBranch } from '@trunkline/server/internal/http/door.ts';
import { DEFAULT_HTTP_LIMITS } from '@trunkline/server/internal/http/limits.ts';
import type { HttpRequest } from '@trunkline/server/internal/http/request.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { RawClient, requestText, startListener, until } from './set-up.ts';

const BODY_MAX = 1024 * 1024;

async function echoBody(request: HttpRequest) {
  const body = await request.body(BODY_MAX);
  return { status: 200, body: `${request.path}:${Buffer.from(body).toString('latin1')};` };
}

describe('what the door leaves to node:http', () => {
  test.each([1, 3, 20, 60, 75])('keeps its bytes when cut after %i', async (cut) => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const text = requestText('POST /a', 'Content-Length: 5') + 'hello' + requestText('GET /b');
    await client.send(text.slice(0, cut), text.slice(cut));
    await client.sees('/a:hello;');
    await client.sees('/b:;');
  });

  test('answers requests that came in one piece in their order', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const post = (name: string): string =>
      requestText(`POST /${name}`, 'Transfer-Encoding: chunked') + '1\r\nx\r\n1\r\ny\r\n0\r\n\r\n';
    await client.send(post('a') + requestText('GET /b') + post('c') + requestText('GET /d'));
    await client.sees('/d:;');
    expect(client.text.match(/\/\w:\w*;/g)).toEqual(['/a:xy;', '/b:;', '/c:xy;', '/d:;']);
  });

  test('takes bodies apart from their heads, and slow ones', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    await client.send(requestText('POST /a', 'Content-Length: 5'), 'he', 'l', 'lo');
    await client.sees('/a:hello;');
    await client.send(requestText('POST /b', 'Content-Length: 2'), 'x', 'y');
    await client.sees('/b:xy;');
  });

  test('takes large bodies that began in the first segment', async () => {
    await using server = await startListener({ onRequest: echoBody });
    const client = await server.connect();
    const body = 'x'.repeat(700_000);
    await client.send(requestText('POST /a', `Content-Length: ${body.length}`) + body);
    await client.sees(`/a:${body};`);
  });
});

describe('a branch', () => {
  /** Says what it was offered, and takes what begins with its word. */
  class WordBranch implements Branch {
    readonly name: string;
    readonly #taken: string[];

    constructor(word: string, taken: string[]) {
      this.name = word;
      this.#taken = taken;
    }

    offer(_connection: unknown, seen: Buffer): 'no' | 'more' | 'taken' {
      const text = seen.toString('latin1');
      if (!this.name.startsWith(text.slice(0, this.name.length))) return 'no';
      if (text.length < this.name.length) return 'more';
      this.#taken.push(`${this.name}: ${text}`);
      return 'taken';
    }
  }

  test.each([
    [['PRI * x'], 'PRI: PRI * x'],
    [['P', 'R', 'I'], 'PRI: PRI'],
    [['PR', 'OXY'], 'PROXY: PROXY'],
    [['P', 'OST'], 'last: POST'],
    [['GET'], 'last: GET'],
  ])('takes the connection that begins with %j: %s', async (pieces, expected) => {
    const taken: string[] = [];
    const wheel = new Wheel(new ManualClock());
    const connections = new Connections(new ManualClock(), wheel, DEFAULT_HTTP_LIMITS, silentLog);
    const last: LastBranch = {
      take: (_connection, seen) => void taken.push(`last: ${seen.toString('latin1')}`),
    };
    const branches = [new WordBranch('PRI', taken), new WordBranch('PROXY', taken)];
    const door = new Door(connections, branches, last);
    const server = createServer((socket) => door.enter(socket));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    {
      await using client = new RawClient(port);
      await client.send(...pieces, 'more');
      expect(taken).toEqual([expected]);
    }
    connections.destroyAll();
    await until(() => connections.count === 0, 'no connection');
    server.close();
    wheel.close();
  });
});
