/** Rows: what a pane received, newest first, and what happened between. */
import { isCaughtUp } from './reader.ts';
import type { Reader, Row } from './reader.ts';

/** Text without spaces to break at is broken anywhere. */
const PACKED = /^\S{40}/;

/** Characters of a payload that a row draws; history shows all of it. */
const PAYLOAD_SHOWN_MAX = 400;

type RowOf<Kind extends Row['kind']> = Extract<Row, { kind: Kind }>;

/** The list of one pane. */
export function Rows({ reader }: { readonly reader: Reader }) {
  const { rows, transport } = reader;
  return (
    <ol class="rows" tabIndex={0} aria-label={`Messages over ${transport.label}, newest first`}>
      {rows.map((row) => {
        if (row.kind === 'note') return <NoteRow key={row.key} row={row} reader={reader} />;
        if (row.kind === 'snapshot') return <SnapshotRow key={row.key} row={row} />;
        return <MessageRow key={row.key} row={row} isMany={reader.isMany} />;
      })}
    </ol>
  );
}

function NoteRow({ row, reader }: { readonly row: RowOf<'note'>; readonly reader: Reader }) {
  const { note } = row;
  const { tone, text } = note.kind === 'said' ? note.sentence : reader.say(note.outcome);
  return (
    <li class="note" data-tone={tone}>
      {text}
    </li>
  );
}

function SnapshotRow({ row }: { readonly row: RowOf<'snapshot'> }) {
  const { position, time, payload } = row.snapshot;
  return (
    <li class="note">
      Begins at the snapshot of {position}, taken {new Date(time).toLocaleTimeString()}
      <span class="row-payload mono">{payload.slice(0, PAYLOAD_SHOWN_MAX)}</span>
    </li>
  );
}

function MessageRow({ row, isMany }: { readonly row: RowOf<'message'>; readonly isMany: boolean }) {
  const { channel, position, event, payload, kind } = row.message;
  const late = isCaughtUp(row.message, row.after);
  return (
    <li class={late ? 'row row-late' : 'row'}>
      <span class="row-offset" title={late ? 'came while away' : undefined}>
        {position?.offset ?? '–'}
        <span class="row-epoch">{position?.epoch ?? 'volatile'}</span>
      </span>
      <span class={PACKED.test(payload) ? 'row-payload row-packed' : 'row-payload'}>
        {isMany && <span class="row-channel">{channel}</span>}
        {event !== undefined && <b class="row-event">{event}</b>}
        {kind === 'bytes' && <b class="row-event">base64</b>}
        {payload.slice(0, PAYLOAD_SHOWN_MAX)}
      </span>
    </li>
  );
}
