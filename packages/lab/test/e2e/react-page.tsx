/** @jsxImportSource react */
/** The page of `react.test.ts`: two routes, two components on one channel, who is there. */
import { connect } from '@trunkline/client';
import { LineProvider, useChannel, useConnection, usePresence } from '@trunkline/react';
import { StrictMode, Suspense, useState } from 'react';
import { createRoot } from 'react-dom/client';

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
const url = new URLSearchParams(location.search).get('server') ?? '';
const line = connect(url, { WebSocket: NotedSocket });

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

function App() {
  const [route, setRoute] = useState('two');
  page.go = setRoute;
  return (
    <LineProvider line={line}>
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
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
