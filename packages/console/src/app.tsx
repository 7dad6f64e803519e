/** App: the page as a whole. */
import { useState } from 'preact/hooks';
import type { Desk } from './desk.ts';
import { Field } from './field.tsx';
import { History } from './history.tsx';
import { useChanges } from './hooks.tsx';
import { Panes } from './pane.tsx';
import { Publish } from './publish.tsx';
import { ServerStatus, Strip } from './strip.tsx';

const EXAMPLES = [
  { path: '/examples/websocket.html', label: 'WebSocket' },
  { path: '/examples/eventsource.html', label: 'EventSource' },
  { path: '/examples/fetch.html', label: 'fetch' },
  { path: '/examples/xhr.html', label: 'XMLHttpRequest' },
];

/** The console page. */
export function App({ desk }: { readonly desk: Desk }) {
  const [open, setOpen] = useState<string>();
  return (
    <>
      <header class="top">
        <h1>
          Trunkline <span>one channel, every protocol</span>
        </h1>
        <ServerStatus feed={desk.feed} />
        <nav aria-label="Bare browser examples">
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
          <Watch desk={desk} onHistory={setOpen} />
          <Publish desk={desk} />
        </div>
        <Panes desk={desk} />
      </main>
      {open !== undefined && (
        <History desk={desk} channel={open} onClose={() => setOpen(undefined)} />
      )}
    </>
  );
}

function Watch(props: { readonly desk: Desk; onHistory(channel: string): void }) {
  const { desk, onHistory } = props;
  useChanges(desk.changes);
  const [typed, setTyped] = useState<string>();
  const channel = typed ?? desk.channel;
  return (
    <form
      class="watch"
      aria-label="Channel"
      onSubmit={(submit) => {
        submit.preventDefault();
        setTyped(undefined);
        desk.watch(channel);
      }}
    >
      <Field label="Channel" value={channel} required onText={setTyped} />
      <button type="submit" class="button">
        Watch
      </button>
      <button type="button" class="button" onClick={() => onHistory(channel)}>
        History
      </button>
    </form>
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
