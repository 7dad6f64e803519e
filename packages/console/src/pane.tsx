/** Pane: one transport's reader, with its counts, its track and what it received. */
import { formatPosition } from '@trunkline/wire';
import { useState } from 'preact/hooks';
import { TrackChart } from './chart.tsx';
import type { Desk } from './desk.ts';
import { formatCount } from './format.ts';
import { useChanges, useNow } from './hooks.tsx';
import type { LineState } from './lines/line.ts';
import { Tries } from './tries.tsx';
import { isCaughtUp } from './reader.ts';
import type { Reader, Row } from './reader.ts';
import { labelOf, TRANSPORTS } from './transports.ts';
import type { TransportName } from './transports.ts';
import { verdictSentence } from './verdict.ts';

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

/** One transport of the page. */
export function Pane({ desk, reader }: { readonly desk: Desk; readonly reader: Reader }) {
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
  const { received, missed, doubled, gaps } = reader.ledger;
  return (
    <dl class="counts">
      <Count name="Received" value={received} proof={false} />
      <Count name="Missed" value={missed} proof />
      <Count name="Doubled" value={doubled} proof />
      {gaps > 0 && <Count name="Gaps told" value={gaps} proof={false} />}
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

function Place({ desk, reader }: { readonly desk: Desk; readonly reader: Reader }) {
  const { name, label } = reader.transport;
  const { position, status, sentence } = reader;
  const idle = status.state === 'cut' || status.state === 'gave-up';
  const place = position === undefined ? 'no position yet' : formatPosition(position);
  return (
    <div class="place">
      <div class="place-line">
        <span
          class="chip"
          draggable={position !== undefined}
          title="Drag onto another transport to go on there"
          onDragStart={(event) => {
            event.dataTransfer?.setData(DRAG_TYPE, name);
            event.dataTransfer?.setData('text/plain', place);
          }}
        >
          <span class="visually-hidden">Position </span>
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
        {TRANSPORTS.filter((other) => other.name !== name).map((other) => (
          <button
            type="button"
            class="button-quiet"
            disabled={position === undefined}
            onClick={() => desk.move(name, other.name)}
          >
            {other.short}
          </button>
        ))}
      </div>
    </div>
  );
}

function tone(reader: Reader): string {
  if (reader.status.state === 'live') return reader.sentence?.tone ?? 'plain';
  return reader.status.state === 'gave-up' ? 'bad' : 'plain';
}

function restText({ status, position }: Reader): string {
  if (status.state === 'cut' && position !== undefined) {
    return `Holds its place, goes on after offset ${formatCount(position.offset)}`;
  }
  return STATE_WORDS[status.state];
}

function Rows({ reader }: { readonly reader: Reader }) {
  const { rows, transport } = reader;
  return (
    <ol class="rows" tabIndex={0} aria-label={`Messages over ${transport.label}, newest first`}>
      {rows.map((row) => (
        <RowItem key={row.key} row={row} reader={reader} />
      ))}
    </ol>
  );
}

function RowItem({ row, reader }: { readonly row: Row; readonly reader: Reader }) {
  if (row.kind === 'note') {
    const { note } = row;
    const { tone: noteTone, text } =
      note.kind === 'said'
        ? note.sentence
        : verdictSentence(note.outcome.verdict, note.outcome.newest, reader.position);
    return (
      <li class="note" data-tone={noteTone}>
        {text}
      </li>
    );
  }
  const { position, event, payload, kind } = row.message;
  const late = isCaughtUp(row.message, row.after);
  return (
    <li class={late ? 'row row-late' : 'row'}>
      <span class="row-offset" title={late ? 'came while away' : undefined}>
        {position.offset}
        <span class="row-epoch">{position.epoch}</span>
      </span>
      <span class={PACKED.test(payload) ? 'row-payload row-packed' : 'row-payload'}>
        {event !== undefined && <b class="row-event">{event}</b>}
        {kind === 'bytes' && <b class="row-event">base64</b>}
        {payload.slice(0, PAYLOAD_SHOWN_MAX)}
      </span>
    </li>
  );
}

/** Text without spaces to break at is broken anywhere. */
const PACKED = /^\S{40}/;

/** Characters of a payload that a row draws; history shows all of it. */
const PAYLOAD_SHOWN_MAX = 400;

/** The panes side by side. */
export function Panes({ desk }: { readonly desk: Desk }) {
  return (
    <div class="panes">
      {desk.readers.map((reader) => (
        <Pane key={reader.transport.name satisfies TransportName} desk={desk} reader={reader} />
      ))}
    </div>
  );
}
