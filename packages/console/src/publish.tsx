/** Publish: sends one message and shows the position it got. */
import { useId, useState } from 'preact/hooks';
import { publish } from './api.ts';
import type { Desk } from './desk.ts';
import { useChanges } from './hooks.ts';
import { METRICS_CHANNEL } from './metrics.ts';
import type { Tone } from './verdict.ts';

/** The form that publishes. Its channel follows the watched one until it is typed over. */
export function Publish({ desk }: { readonly desk: Desk }) {
  useChanges(desk.changes);
  const id = useId();
  const [typed, setTyped] = useState<string>();
  const [payload, setPayload] = useState('{"text":"hello"}');
  const [kind, setKind] = useState<'json' | 'text'>('json');
  const [event, setEvent] = useState('');
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<{ readonly tone: Tone; readonly text: string }>();
  // Only the server publishes its load.
  const channel = typed ?? (desk.channel === METRICS_CHANNEL ? 'demo' : desk.channel);

  async function send(): Promise<void> {
    setBusy(true);
    const sentAt = performance.now();
    const name = event.trim();
    const publication = { channel, payload, kind, ...(name === '' ? {} : { event: name }) };
    const result = await publish(publication, desk.token);
    const ms = Math.round(performance.now() - sentAt);
    setBusy(false);
    setAnswer(
      result.ok
        ? { tone: 'good', text: `Stored at ${result.value} in ${String(ms)} ms` }
        : { tone: 'bad', text: result.reason },
    );
  }

  return (
    <form
      class="publish"
      aria-label="Publish"
      onSubmit={(submit) => {
        submit.preventDefault();
        if (!busy) void send(); // Never rejects, as `publish` does not.
      }}
    >
      <div class="field">
        <label for={`${id}-channel`}>Publish to</label>
        <input
          id={`${id}-channel`}
          class="mono"
          value={channel}
          required
          spellcheck={false}
          autocapitalize="off"
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
      </div>
      <div class="field field-small">
        <label for={`${id}-kind`}>Payload</label>
        <select
          id={`${id}-kind`}
          value={kind}
          onChange={({ currentTarget }) =>
            setKind(currentTarget.value === 'text' ? 'text' : 'json')
          }
        >
          <option value="json">JSON</option>
          <option value="text">Text</option>
        </select>
      </div>
      <div class="field field-wide">
        <label class="visually-hidden" for={`${id}-payload`}>
          Payload content
        </label>
        <input
          id={`${id}-payload`}
          class="mono"
          value={payload}
          spellcheck={false}
          autocapitalize="off"
          onInput={({ currentTarget }) => setPayload(currentTarget.value)}
        />
      </div>
      <div class="field field-small">
        <label for={`${id}-event`}>Event</label>
        <input
          id={`${id}-event`}
          class="mono"
          value={event}
          placeholder="none"
          spellcheck={false}
          autocapitalize="off"
          onInput={({ currentTarget }) => setEvent(currentTarget.value)}
        />
      </div>
      <button type="submit" class="button-main">
        Publish
      </button>
      <p class="publish-answer" role="status" data-tone={answer?.tone}>
        {answer?.text ?? ''}
        {answer?.tone === 'good' && channel !== desk.channel && (
          <button type="button" class="button-quiet" onClick={() => desk.watch(channel)}>
            Watch {channel}
          </button>
        )}
      </p>
    </form>
  );
}
