/** Pane: one transport's reader, with its counts, its track and what it received. */
import { useState } from 'preact/hooks';
import { TrackChart } from './chart.tsx';
import type { Desk } from './desk.ts';
import { formatCount } from './format.ts';
import { useChanges, useNow } from './hooks.tsx';
import type { HttpVersions } from './http-versions.ts';
import type { EncodingName, LineState } from './lines/line.ts';
import type { Standing } from './lines/standing.ts';
import { placeText } from './reader.ts';
import type { Reader } from './reader.ts';
import { Rows } from './rows.tsx';
import { longText, shortText } from './traffic.ts';
import { labelOf, TRANSPORTS } from './transports.ts';
import type { Transport } from './transports.ts';
import { Tries } from './tries.tsx';

/** What a dragged position carries: the name of its transport. */
const DRAG_TYPE = 'application/x-trunkline-transport';

/** How often the track moves on. */
const TRACK_REDRAW_MS = 500;

const STATE_WORDS: Readonly<Record<LineState, string>> = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  cut: 'Cut',
  'gave-up': 'Gave up',
};

const ENCODING_WORDS: Readonly<Record<EncodingName, string>> = { json: 'JSON', binary: 'Binary' };

/** One transport of the page. */
export function Pane(props: {
  readonly desk: Desk;
  readonly reader: Reader;
  readonly versions: HttpVersions;
}) {
  const { desk, reader, versions } = props;
  useChanges(reader.changes);
  const [over, setOver] = useState(false);
  const { name, label, how } = reader.transport;
  const { status, via } = reader;
  const title = `pane-${name}`;
  return (
    <section
      class={over ? 'pane pane-over' : 'pane'}
      data-transport={name}
      aria-labelledby={title}
      onDragOver={(event) => {
        if (event.dataTransfer?.types.includes(DRAG_TYPE) !== true) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        const to = event.relatedTarget;
        if (!(to instanceof Node && event.currentTarget.contains(to))) setOver(false);
      }}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const from = event.dataTransfer?.getData(DRAG_TYPE);
        const source = TRANSPORTS.find((transport) => transport.name === from);
        if (source !== undefined) desk.move(source.name, name);
      }}
    >
      <header class="pane-head">
        <div>
          <h2 id={title}>{label}</h2>
          <p class="pane-how">{via.length > 1 ? `via ${via.map(labelOf).join(' › ')}` : how}</p>
        </div>
        <p class="badge" data-state={status.state} role="status" title={status.reason}>
          {STATE_WORDS[status.state]}
          <Tries status={status} />
        </p>
      </header>
      <PaneTrack desk={desk} reader={reader} />
      <Counts reader={reader} />
      <Way reader={reader} versions={versions} />
      <Place desk={desk} reader={reader} />
      <Rows reader={reader} />
    </section>
  );
}

function PaneTrack({ desk, reader }: { readonly desk: Desk; readonly reader: Reader }) {
  const now = useNow(TRACK_REDRAW_MS);
  const { label } = reader.transport;
  return (
    <TrackChart
      label={`Offset over the last minute, ${label}`}
      own={reader.track}
      others={desk.readers.filter((other) => other !== reader).map(({ track }) => track)}
      now={now}
    />
  );
}

function Counts({ reader }: { readonly reader: Reader }) {
  const { received, missed, doubled, gaps, expired } = reader.ledger;
  return (
    <dl class="counts">
      <Count name="Received" value={received} proof={false} />
      <Count name="Missed" value={missed} proof />
      <Count name="Doubled" value={doubled} proof />
      {gaps > 0 && <Count name="Gaps told" value={gaps} proof={false} />}
      {expired > 0 && <Count name="Expired" value={expired} proof={false} />}
    </dl>
  );
}

/** A count; one that is a proof shows by its look whether it still holds. */
function Count(props: { readonly name: string; readonly value: number; readonly proof: boolean }) {
  const kind = props.proof ? (props.value === 0 ? 'count-proof' : 'count-broken') : 'count';
  return (
    <div class={kind}>
      <dt>{props.name}</dt>
      <dd>{formatCount(props.value)}</dd>
    </div>
  );
}

/** What carries the messages, what they cost, and how they are written. */
function Way({ reader, versions }: { readonly reader: Reader; readonly versions: HttpVersions }) {
  const { transport, encoding, traffic } = reader;
  const { label, path, encodings } = transport;
  const version = versions.of(path);
  return (
    <div class="way">
      <p title={longText(traffic, version)}>{shortText(traffic, version)}</p>
      {encodings.length > 1 && (
        <div class="choice" role="group" aria-label={`Encoding of ${label}`}>
          {encodings.map((one) => (
            <button
              type="button"
              aria-pressed={one === encoding}
              onClick={() => reader.encode(one)}
            >
              {ENCODING_WORDS[one]}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

function Place({ desk, reader }: { readonly desk: Desk; readonly reader: Reader }) {
  const { name, label } = reader.transport;
  const { standing, status, sentence } = reader;
  const idle = status.state === 'cut' || status.state === 'gave-up';
  const after = standing?.after;
  const place = placeText(standing);
  return (
    <div class="place">
      <div class="place-line">
        <span
          class="chip"
          draggable={after !== undefined}
          title={after === undefined ? undefined : `Drag onto another transport: ${after}`}
          onDragStart={(event) => {
            event.dataTransfer?.setData(DRAG_TYPE, name);
            event.dataTransfer?.setData('text/plain', after ?? '');
          }}
        >
          <span class="visually-hidden">Place </span>
          {place}
        </span>
        <button
          type="button"
          class={idle ? 'button-main' : 'button'}
          aria-label={`${idle ? 'Resume' : 'Cut'} ${label}`}
          onClick={() => (idle ? reader.resume() : reader.cut())}
        >
          {idle ? 'Resume' : 'Cut'}
        </button>
      </div>
      <p class="verdict" role="status" data-tone={tone(reader)}>
        {status.state === 'live' ? (sentence?.text ?? '') : (status.reason ?? restText(reader))}
      </p>
      <div class="move" role="group" aria-label={`Continue ${label} over`}>
        <span aria-hidden="true">Move to</span>
        {TRANSPORTS.filter((other) => other.name !== name && other.takesPlaces).map((other) => (
          <button
            type="button"
            class="button-quiet"
            aria-label={other.label}
            disabled={after === undefined || blockade(standing, other) !== undefined}
            title={blockade(standing, other)}
            onClick={() => desk.move(name, other.name)}
          >
            {other.short}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Why a transport can't go on from a place. */
function blockade(standing: Standing | undefined, to: Transport): string | undefined {
  if (standing === undefined || standing.isOnePlace || !to.needsOnePlace) return undefined;
  return 'Its patterns are at several marks, a poll begins at one: move to SSE first';
}

function tone(reader: Reader): string {
  if (reader.status.state === 'live') return reader.sentence?.tone ?? 'plain';
  return reader.status.state === 'gave-up' ? 'bad' : 'plain';
}

function restText({ status, standing }: Reader): string {
  if (status.state === 'cut' && standing?.after !== undefined) {
    return 'Holds its place and goes on from there';
  }
  return STATE_WORDS[status.state];
}

/** The panes side by side. */
export function Panes(props: { readonly desk: Desk; readonly versions: HttpVersions }) {
  const { desk, versions } = props;
  return (
    <div class="panes">
      {desk.readers.map((reader) => (
        <Pane key={reader.transport.name} desk={desk} reader={reader} versions={versions} />
      ))}
    </div>
  );
}
