import { describe, expect, test } from 'vitest';
import type { HttpAnswer } from '@trunkline/server/internal/http/request.ts';
import { requestText, settle, startListener } from './set-up.ts';

describe('requests in one piece', () => {
  test('are answered in their order, whoever is ready first', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + requestText('GET /b'));
    answers[1]?.({ status: 200, body: 'second' });
    await settle();
    expect(client.text).toBe('');
    answers[0]?.({ status: 200, body: 'first' });
    await client.sees('second');
    expect(client.text.indexOf('first')).toBeLessThan(client.text.indexOf('second'));
  });

  test('before garbage are answered, then the connection ends', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener({
      onRequest: () => new Promise((resolve) => answers.push(resolve)),
    });
    const client = await server.connect();
    await client.send(requestText('GET /a') + requestText('GET /b') + 'garbage\r\n\r\n');
    for (const answer of answers) answer({ status: 200, body: 'ok' });
    await client.seesEnd();
    expect(client.text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    expect(client.text).not.toContain('400');
  });

  test('over the limit are answered 429 behind those that wait, and the end', async () => {
    const answers: ((answer: HttpAnswer) => void)[] = [];
    await using server = await startListener(
      { onRequest: () => new Promise((resolve) => answers.push(resolve)) },
      { pipelinedMax: 3 },
    );
    const client = await server.connect();
    await client.send(requestText('GET /a').repeat(500), requestText('GET /b').repeat(500));
    expect(answers).toHaveLength(3);
    expect(client.text).toBe('');
    for (const answer of answers) answer({ status: 200, body: 'ok' });
    await client.seesEnd();
    expect(client.text.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 200',
      'HTTP/1.1 429',
    ]);
  });
});
