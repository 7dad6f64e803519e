import { expect, test, vi } from 'vitest';

test('the worker serves the tabs that connect, and refuses those that it is not named after', async () => {
  const listeners = new Map<string, (event: Event) => void>();
  vi.stubGlobal('addEventListener', (type: string, listener: (event: Event) => void) => {
    listeners.set(type, listener);
  });
  vi.stubGlobal('name', 'g');
  try {
    await import('../../src/tabs/worker.ts');
  } finally {
    vi.unstubAllGlobals();
  }
  const { port1, port2 } = new MessageChannel();
  listeners.get('connect')?.(new MessageEvent('connect', { ports: [port2] }));
  const answer = new Promise<unknown>((resolve) => {
    port1.addEventListener('message', ({ data }: MessageEvent<unknown>) => resolve(data));
  });
  port1.start();
  const hello = { kind: 'hello', version: 1, group: 'h', url: 'http://a', encoding: 'e' };
  port1.postMessage([hello], []);
  expect(await answer).toMatchObject([{ kind: 'end', ending: { kind: 'refused' } }]);
  port1.close();
});
