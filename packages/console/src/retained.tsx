/** Retained: the message that each channel keeps beside its log. */
import type { WireMessage } from '@trunkline/wire';
import { useEffect, useState } from 'preact/hooks';
import { retained } from './api.ts';
import type { RetainedPage, Result } from './api.ts';
import type { Desk } from './desk.ts';
import { toLineMessage } from './lines/read.ts';

/** Channels that are listed. */
const SHOWN_MAX = 50;

/** From one reading to the next. */
const REFRESH_MS = 10_000;

/** Characters of a payload; history shows all of it. */
const PAYLOAD_SHOWN_MAX = 120;

/** The panel; read anew when something was retained here, when asked to, and now and then. */
export function Retained({ desk }: { readonly desk: Desk }) {
  const [result, setResult] = useState<Result<RetainedPage>>();

  useEffect(() => {
    async function load(): Promise<void> {
      setResult(await retained('#', SHOWN_MAX, desk.token));
    }
    void load(); // Never rejects, as `retained` does not.
    // Others retain messages, too, and nothing tells of that.
    const timer = setInterval(() => {
      if (!document.hidden) void load();
    }, REFRESH_MS);
    const stops = [desk.retained, desk.changes].map((source) => source.listen(() => void load()));
    return () => {
      clearInterval(timer);
      for (const stop of stops) stop();
    };
  }, [desk]);

  return (
    <section class="panel retained" aria-labelledby="retained-title">
      <header class="panel-head">
        <h2 id="retained-title">Retained</h2>
        <button type="button" class="button-quiet" onClick={() => desk.retained.notify()}>
          Refresh
        </button>
      </header>
      <Found result={result} desk={desk} />
    </section>
  );
}

function Found(props: { readonly result: Result<RetainedPage> | undefined; readonly desk: Desk }) {
  const { result, desk } = props;
  if (result === undefined) return <p class="panel-note">Reading</p>;
  if (!result.ok) return <p class="panel-note">{result.reason}</p>;
  const { messages, more } = result.value;
  if (messages.length === 0) return <p class="panel-note">No channel retains a message</p>;
  return (
    <div class="retained-list" tabIndex={0} role="group" aria-labelledby="retained-title">
      <table>
        <colgroup>
          <col class="retained-channel" />
          <col />
        </colgroup>
        <thead class="visually-hidden">
          <tr>
            <th scope="col">Channel</th>
            <th scope="col">Message</th>
          </tr>
        </thead>
        <tbody>
          {messages.map((message) => (
            <RetainedRow key={message.channel} message={message} desk={desk} />
          ))}
        </tbody>
      </table>
      {more && <p class="panel-note">The first {String(SHOWN_MAX)} by name</p>}
    </div>
  );
}

function RetainedRow({ message, desk }: { readonly message: WireMessage; readonly desk: Desk }) {
  const { channel } = message;
  return (
    <tr>
      <th scope="row">
        <button
          type="button"
          class="link mono"
          title={`Watch ${channel}`}
          onClick={() => desk.watch([channel])}
        >
          {channel}
        </button>
      </th>
      <td class="mono">{toLineMessage(message).payload.slice(0, PAYLOAD_SHOWN_MAX)}</td>
    </tr>
  );
}
