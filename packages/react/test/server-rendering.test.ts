/** What the hooks say where there is no line: on a server that renders pages. */
import { createElement } from 'react';
import type { ReactNode } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, test } from 'vitest';
import { LineProvider, useChannel, useConnection, useLine, usePresence } from '../src/index.ts';

/** Renders what `read` gives, as JSON. */
function render(read: () => unknown, line?: undefined): unknown {
  const Reader = (): ReactNode => JSON.stringify(read());
  const html = renderToString(createElement(LineProvider, { line }, createElement(Reader)));
  return JSON.parse(html.replaceAll('&quot;', '"'));
}

test('a server renders a channel of which nothing has come', () => {
  expect(render(() => useChannel('room/1', { last: 5 }))).toEqual({
    messages: [],
    status: 'subscribing',
  });
});

test('a server does not wait for a channel', () => {
  expect(render(() => useChannel('room/1', { suspend: true }).status)).toBe('subscribing');
});

test('a server renders nobody, and a connection that is not there yet', () => {
  expect(render(() => usePresence('room/1'))).toMatchObject({ members: [], count: 0 });
  expect(render(useConnection)).toEqual({ state: 'connecting' });
});

test('publishing where there is no line is an error', async () => {
  let state: Pick<ReturnType<typeof useChannel<string>>, 'publish' | 'send'> | undefined;
  render(() => {
    state = useChannel<string>('room/1');
    return null;
  });
  await expect(state?.publish('hi')).rejects.toThrow('no line');
  expect(() => state?.send('hi')).toThrow('no line');
  expect(() => render(useLine)).toThrow('no line');
});

test('hooks outside of a provider say so', () => {
  const Outside = (): ReactNode => useChannel('room/1').status;
  expect(() => renderToString(createElement(Outside))).toThrow('LineProvider');
});
