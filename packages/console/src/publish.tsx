/** Publish: sends one message and shows what became of it. */
import { matchesPattern } from '@trunkline/wire';
import { useId, useState } from 'preact/hooks';
import { publish } from './api.ts';
import type { Publication } from './api.ts';
import type { Desk } from './desk.ts';
import { Field } from './field.tsx';
import { useChanges } from './hooks.tsx';
import { METRICS_CHANNEL } from './metrics.ts';
import type { Sentence } from './verdict.ts';

type PublicationKind = Publication['kind'];

const KIND_WORDS: Readonly<Record<PublicationKind, string>> = {
  json: 'JSON',
  text: 'Text',
  bytes: 'Base64',
};

/** What is typed beside the payload; empty is not given. */
interface Options {
  readonly event: string;
  readonly key: string;
  readonly slot: string;
  readonly ttl: string;
  readonly retain: boolean;
}

const NO_OPTIONS: Options = { event: '', key: '', slot: '', ttl: '', retain: false };

/** The form that publishes. Its channel follows what is watched until it is typed over. */
export function Publish({ desk }: { readonly desk: Desk }) {
  useChanges(desk.changes);
  const [typed, setTyped] = useState<string>();
  const [payload, setPayload] = useState('{"text":"hello"}');
  const [kind, setKind] = useState<PublicationKind>('json');
  const [options, setOptions] = useState(NO_OPTIONS);
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState<Sentence>();
  const channel = typed ?? sampleChannel(desk.filters);

  async function send(): Promise<void> {
    setBusy(true);
    const sentence = await timedPublish({ channel, payload, kind, ...given(options) }, desk.token);
    setAnswer(sentence);
    setBusy(false);
    if (sentence.tone === 'good' && options.retain) desk.retained.notify();
  }

  const isWatched = desk.filters.some((one) => one === channel || matchesPattern(one, channel));
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
      <button
        type="button"
        class="button"
        aria-expanded={open}
        aria-controls="publish-options"
        onClick={() => setOpen(!open)}
      >
        Options
      </button>
      <button type="submit" class="button-main">
        Publish
      </button>
      <p class="publish-answer" role="status" data-tone={answer?.tone}>
        {answer?.text ?? ''}
        {answer?.tone === 'good' && !isWatched && (
          <button type="button" class="button-quiet" onClick={() => desk.watch([channel])}>
            Watch {channel}
          </button>
        )}
      </p>
      <OptionFields options={options} open={open} onOptions={setOptions} />
    </form>
  );
}

function OptionFields(props: {
  readonly options: Options;
  readonly open: boolean;
  onOptions(options: Options): void;
}) {
  const { options, open, onOptions } = props;
  const field = (name: Exclude<keyof Options, 'retain'>) => ({
    value: options[name],
    placeholder: 'none',
    onText: (text: string) => onOptions({ ...options, [name]: text }),
  });
  return (
    <div id="publish-options" class="publish-options" hidden={!open}>
      <Field label="Event" {...field('event')} />
      <Field label="Key, stored once" {...field('key')} />
      <Field label="Slot, if volatile" {...field('slot')} />
      <Field label="TTL in ms" {...field('ttl')} />
      <label class="check">
        <input
          type="checkbox"
          checked={options.retain}
          onChange={({ currentTarget }) => onOptions({ ...options, retain: currentTarget.checked })}
        />
        Retain
      </label>
    </div>
  );
}

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
        onChange={({ currentTarget: { value } }) => {
          props.onKind(value === 'text' || value === 'bytes' ? value : 'json');
        }}
      >
        {Object.entries(KIND_WORDS).map(([kind, word]) => (
          <option value={kind}>{word}</option>
        ))}
      </select>
    </div>
  );
}

/** A channel among those that are followed. Only the server publishes its load. */
function sampleChannel(filters: readonly string[]): string {
  const filter = filters.find((one) => one !== METRICS_CHANNEL) ?? 'demo';
  return filter
    .split('/')
    .map((segment) => (segment === '+' || segment === '#' ? '1' : segment))
    .join('/');
}

function given({ event, key, slot, ttl, retain }: Options): Partial<Publication> {
  const text = (name: string, value: string): object =>
    value.trim() === '' ? {} : { [name]: value.trim() };
  return {
    ...text('event', event),
    ...text('key', key),
    ...text('slot', slot),
    // What is no number goes as it is: the server says what it expected.
    ...(ttl.trim() === '' ? {} : { ttl: Number(ttl) }),
    ...(retain ? { retain } : {}),
  };
}

async function timedPublish(
  publication: Publication,
  token: string | undefined,
): Promise<Sentence> {
  const sentAt = performance.now();
  const result = await publish(publication, token);
  const ms = String(Math.round(performance.now() - sentAt));
  if (!result.ok) return { tone: 'bad', text: result.reason };
  const what =
    result.value === undefined ? 'Sent, volatile: nothing is kept' : `Stored at ${result.value}`;
  return { tone: 'good', text: `${what}, ${ms} ms` };
}
