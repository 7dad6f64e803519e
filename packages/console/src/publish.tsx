/** Publish: sends one message and shows the position it got. */
import { useId, useState } from 'preact/hooks';
import { publish } from './api.ts';
import type { Publication } from './api.ts';
import type { Desk } from './desk.ts';
import { Field } from './field.tsx';
import { useChanges } from './hooks.tsx';
import { METRICS_CHANNEL } from './metrics.ts';
import type { Sentence } from './verdict.ts';

/** The form that publishes. Its channel follows the watched one until it is typed over. */
export function Publish({ desk }: { readonly desk: Desk }) {
  useChanges(desk.changes);
  const [typed, setTyped] = useState<string>();
  const [payload, setPayload] = useState('{"text":"hello"}');
  const [kind, setKind] = useState<PublicationKind>('json');
  const [event, setEvent] = useState('');
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Sentence>();
  // Only the server publishes its load.
  const channel = typed ?? (desk.channel === METRICS_CHANNEL ? 'demo' : desk.channel);

  async function send(): Promise<void> {
    setBusy(true);
    const name = event.trim();
    const publication = { channel, payload, kind, ...(name === '' ? {} : { event: name }) };
    setAnswer(await timedPublish(publication, desk.token));
    setBusy(false);
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
      <Field label="Publish to" value={channel} required onText={setTyped} />
      <KindField value={kind} onKind={setKind} />
      <Field label="Payload content" size="wide" quiet value={payload} onText={setPayload} />
      <Field label="Event" size="small" value={event} placeholder="none" onText={setEvent} />
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

type PublicationKind = Publication['kind'];

function KindField(props: {
  readonly value: PublicationKind;
  onKind(kind: PublicationKind): void;
}) {
  const id = useId();
  return (
    <div class="field field-small">
      <label for={id}>Payload</label>
      <select
        id={id}
        value={props.value}
        onChange={({ currentTarget }) => {
          props.onKind(currentTarget.value === 'text' ? 'text' : 'json');
        }}
      >
        <option value="json">JSON</option>
        <option value="text">Text</option>
      </select>
    </div>
  );
}

async function timedPublish(
  publication: Publication,
  token: string | undefined,
): Promise<Sentence> {
  const sentAt = performance.now();
  const result = await publish(publication, token);
  const ms = Math.round(performance.now() - sentAt);
  return result.ok
    ? { tone: 'good', text: `Stored at ${result.value} in ${String(ms)} ms` }
    : { tone: 'bad', text: result.reason };
}
