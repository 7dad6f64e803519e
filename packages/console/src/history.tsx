/** History: what a channel keeps, newest first, read page by page towards the oldest. */
import { formatPosition } from '@trunkline/wire';
import type { Position } from '@trunkline/wire';
import { useEffect, useRef, useState } from 'preact/hooks';
import { history } from './api.ts';
import type { HistoryPage } from './api.ts';
import type { Desk } from './desk.ts';
import type { LineMessage } from './lines/line.ts';
import { toLineMessage } from './lines/read.ts';

const PAGE_SIZE = 50;

/** Messages the dialog holds; older ones are then read after closing it. */
const SHOWN_MAX = 2_000;

/** Channels to choose from, of those that a pattern brought. */
const CHOICES_MAX = 500;

/** The dialog with a channel's history. */
export function History(props: { readonly desk: Desk; onClose(): void }) {
  const { desk, onClose } = props;
  const [channels] = useState(() => desk.channels);
  const [channel, setChannel] = useState(channels[0] ?? '');
  const dialog = useRef<HTMLDialogElement>(null);
  const { messages, page, fault, busy, load } = usePages(desk, channel);

  useEffect(() => dialog.current?.showModal(), []);

  const last = messages.at(-1);
  const end = page !== undefined && (page.messages.length === 0 || isOldest(last, page.oldest));
  return (
    <dialog class="history" ref={dialog} aria-labelledby="history-title" onClose={onClose}>
      <header class="history-head">
        <div>
          <h2 id="history-title">
            History of{' '}
            {channels.length > 1 ? (
              <Choice channels={channels} value={channel} onChoice={setChannel} />
            ) : (
              <span class="mono">{channel}</span>
            )}
          </h2>
          <p>{rangeText(page)}</p>
        </div>
        <button type="button" class="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      {fault !== undefined && (
        <p class="verdict" data-tone="bad" role="alert">
          {fault}
        </p>
      )}
      <ol class="rows history-rows" tabIndex={0} aria-label="Messages, newest first">
        {messages.map((message) => (
          <HistoryRow key={placeOf(message)} message={message} />
        ))}
      </ol>
      <footer class="history-foot">
        <p role="status">{footText(busy, messages.length, end)}</p>
        <button
          type="button"
          class="button"
          disabled={busy || end || last === undefined || messages.length >= SHOWN_MAX}
          onClick={() => void load(last?.position)}
        >
          Older
        </button>
      </footer>
    </dialog>
  );
}

function Choice(props: {
  readonly channels: readonly string[];
  readonly value: string;
  onChoice(channel: string): void;
}) {
  return (
    <select
      class="mono"
      aria-label="Channel"
      value={props.value}
      onChange={({ currentTarget }) => props.onChoice(currentTarget.value)}
    >
      {props.channels.slice(0, CHOICES_MAX).map((channel) => (
        <option value={channel}>{channel}</option>
      ))}
    </select>
  );
}

/** The pages read so far, newest first; the first is read at once. */
function usePages(desk: Desk, channel: string) {
  const [messages, setMessages] = useState<readonly LineMessage[]>([]);
  const [page, setPage] = useState<HistoryPage>();
  const [fault, setFault] = useState<string>();
  const [busy, setBusy] = useState(false);
  const chosen = useRef(channel);
  chosen.current = channel;

  async function load(before: Position | undefined): Promise<void> {
    setBusy(true);
    const result = await history(channel, before, PAGE_SIZE, desk.token);
    if (chosen.current !== channel) return; // The answer is for a channel left meanwhile.
    setBusy(false);
    if (!result.ok) {
      setFault(result.reason);
      return;
    }
    setFault(undefined);
    setPage(result.value);
    const read = result.value.messages.map(toLineMessage).reverse();
    setMessages((known) => [...(before === undefined ? [] : known), ...read]);
  }

  useEffect(() => {
    if (channel === '') return; // A pattern that has brought none yet.
    void load(undefined); // Never rejects, as `history` does not.
  }, [channel]);

  return { messages, page, fault, busy, load };
}

function HistoryRow({ message }: { readonly message: LineMessage }) {
  const { position, event, kind, payload } = message;
  const time = new Date(message.time ?? 0);
  return (
    <li class="row">
      <span class="row-offset">
        {position?.offset}
        <time class="row-epoch" dateTime={time.toISOString()}>
          {time.toLocaleTimeString()}
        </time>
      </span>
      <span class="row-payload">
        {event !== undefined && <b class="row-event">{event}</b>}
        {kind === 'bytes' && <b class="row-event">base64</b>}
        {payload}
      </span>
    </li>
  );
}

function placeOf({ position }: LineMessage): string {
  return position === undefined ? '' : formatPosition(position);
}

function isOldest(message: LineMessage | undefined, oldest: Position | undefined): boolean {
  return oldest !== undefined && (message?.position?.offset ?? Infinity) <= oldest.offset;
}

function rangeText(page: HistoryPage | undefined): string {
  if (page?.oldest === undefined || page.newest === undefined) return '';
  return `Kept from ${formatPosition(page.oldest)} to ${formatPosition(page.newest)}`;
}

function footText(busy: boolean, shown: number, end: boolean): string {
  if (busy) return 'Reading';
  if (shown === 0) return 'Nothing is kept';
  return end ? `${String(shown)} messages, down to the oldest kept` : `${String(shown)} messages`;
}
