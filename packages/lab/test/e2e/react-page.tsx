/** @jsxImportSource react */
/** The page of `react.test.ts`: two routes, two components on one channel, who is there. */
import { connect } from '@trunkline/client';
import type { Line } from '@trunkline/client';
import { LineProvider, useChannel, useConnection, usePresence } from '@trunkline/react';
import { StrictMode, Suspense, useState } from 'react';
import { createRoot, hydrateRoot } from 'react-dom/client';
import { renderToString } from 'react-dom/server.browser';

/** What the test drives and looks at. */
interface Page {
  /** Commands that went over the wire. */
  readonly sent: string[];
  go: (route: string) => void;
  say: (text: string) => Promise<unknown>;
}

const page: Page = Object.assign(window, {
  sent: [] as string[],
  go: () => {},
  say: () => Promise.resolve(),
});

/** Notes what is sent. */
class NotedSocket extends WebSocket {
  override send(data: string): void {
    page.sent.push(...data.split('\n'));
    super.send(data);
  }
}

const CHANNEL = 'room/1';
const query = new URLSearchParams(location.search);
const line = connect(query.get('server') ?? '', { WebSocket: NotedSocket });

function Messages({ name }: { readonly name: string }) {
  const { messages, status, publish } = useChannel<string>(CHANNEL, { last: 20 });
  page.say = publish;
  return (
    <ol id={name} data-status={status}>
      {messages.map(({ epoch, offset, data }) => (
        <li key={`${epoch}:${offset}`}>{data}</li>
      ))}
    </ol>
  );
}

function People() {
  const { members, count } = usePresence(CHANNEL);
  return (
    <p id="people" data-count={count}>
      {members.map(({ session }) => session).join(' ')}
    </p>
  );
}

function Awaited() {
  const { messages, status } = useChannel<string>('room/2', { last: 5, suspend: true });
  return (
    <p id="awaited" data-status={status}>
      {messages.map(({ data }) => data).join(' ')}
    </p>
  );
}

function Connection() {
  const { state, transport } = useConnection();
  return <p id="connection">{`${state} ${transport ?? ''}`}</p>;
}

function App({ line: given }: { readonly line: Line | undefined }) {
  const [route, setRoute] = useState(query.get('route') ?? 'two');
  page.go = setRoute;
  return (
    <LineProvider line={given}>
      <Connection />
      {route !== 'none' && <Messages name="first" />}
      {route === 'two' && <Messages name="second" />}
      {route === 'people' && <People />}
      {route === 'awaited' && (
        <Suspense fallback={<p id="waiting" />}>
          <Awaited />
        </Suspense>
      )}
    </LineProvider>
  );
}

const root = document.getElementById('root');
const app = (
  <StrictMode>
    <App line={line} />
  </StrictMode>
);
if (root !== null && query.has('hydrate')) {
  // As a server has it, where there is no line.
  root.innerHTML = renderToString(
    <StrictMode>
      <App line={undefined} />
    </StrictMode>,
  );
  hydrateRoot(root, app);
} else if (root !== null) {
  createRoot(root).render(app);
}
