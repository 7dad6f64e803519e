/** App: the page as a whole. */
import { useState } from 'preact/hooks';
import type { Desk } from './desk.ts';
import { History } from './history.tsx';
import { useChanges } from './hooks.tsx';
import type { HttpVersions } from './http-versions.ts';
import { Panes } from './pane.tsx';
import { People } from './people.tsx';
import { Publish } from './publish.tsx';
import { Retained } from './retained.tsx';
import { ServerStatus, Strip } from './strip.tsx';
import { Watch } from './watch.tsx';

const EXAMPLES = [
  { path: '/examples/websocket.html', label: 'WebSocket' },
  { path: '/examples/eventsource.html', label: 'EventSource' },
  { path: '/examples/fetch.html', label: 'fetch' },
  { path: '/examples/xhr.html', label: 'XMLHttpRequest' },
  { path: '/examples/client.html', label: 'With the client' },
];

/** The console page. */
export function App(props: { readonly desk: Desk; readonly versions: HttpVersions }) {
  const { desk, versions } = props;
  const [open, setOpen] = useState(false);
  return (
    <>
      <header class="top">
        <h1>
          Trunkline <span>one channel, every protocol</span>
        </h1>
        <ServerStatus feed={desk.feed} />
        <nav aria-label="Elsewhere">
          <a href="/metrics">Metrics</a>
          <span aria-hidden="true">Examples</span>
          {EXAMPLES.map(({ path, label }) => (
            <a href={path}>{label}</a>
          ))}
        </nav>
        <Token desk={desk} />
      </header>
      <main>
        <Strip feed={desk.feed} />
        <div class="bar">
          <Watch desk={desk} onHistory={() => setOpen(true)} />
          <Publish desk={desk} />
        </div>
        <div class="body">
          <Panes desk={desk} versions={versions} />
          <aside class="side">
            <People desk={desk} />
            <Retained desk={desk} />
          </aside>
        </div>
      </main>
      {open && <History desk={desk} onClose={() => setOpen(false)} />}
    </>
  );
}

function Token({ desk }: { readonly desk: Desk }) {
  useChanges(desk.changes);
  const [typed, setTyped] = useState<string>();
  return (
    <form
      class="token"
      aria-label="Token"
      onSubmit={(submit) => {
        submit.preventDefault();
        if (typed !== undefined) desk.useToken(typed.trim());
        setTyped(undefined);
      }}
    >
      <label class="visually-hidden" for="token">
        Token, kept in this browser tab
      </label>
      <input
        id="token"
        class="mono"
        type="password"
        value={typed ?? desk.token ?? ''}
        placeholder="Token (none: anonymous)"
        autocomplete="off"
        onInput={({ currentTarget }) => setTyped(currentTarget.value)}
      />
      <button type="submit" class="button" disabled={typed === undefined}>
        Use
      </button>
    </form>
  );
}
