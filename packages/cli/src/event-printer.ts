/** Event printer: what a subscription tells, for people or for programs. */
import pc from 'picocolors';
import type { ReceivedMessage, SubscriptionEvent } from '@trunkline/client';
import { encodeBase64 } from '@trunkline/wire';
import type { Io } from './io.ts';

/**
 * Messages go to standard output; what happens to the connection goes to standard error for people,
 * and is one more object on standard output for programs.
 */
export class EventPrinter {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #colours: ReturnType<typeof pc.createColors>;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#json = json;
    this.#colours = pc.createColors(io.colour);
  }

  print(event: SubscriptionEvent): void {
    if (this.#json) this.#io.stdout.write(`${toJson(event)}\n`);
    else if (event.kind === 'message') this.#io.stdout.write(`${this.#line(event)}\n`);
    else this.#io.stderr.write(`trunkline: ${describe(event)}\n`);
  }

  #line(message: ReceivedMessage): string {
    const { dim, cyan } = this.#colours;
    const event = message.event === undefined ? '' : `${cyan(printable(message.event))} `;
    return `${dim(`${message.epoch}:${message.offset}`)} ${event}${printable(payload(message))}`;
  }
}

/** One object on one line, with its position; the payload is embedded as published. */
function toJson(event: SubscriptionEvent): string {
  if (event.kind !== 'message') return JSON.stringify(event);
  const { source, data, bytes, ...rest } = event;
  const fields = { ...rest, position: `${event.epoch}:${event.offset}` };
  const text = JSON.stringify(
    bytes === undefined ? fields : { ...fields, bytes: encodeBase64(bytes) },
  );
  if (bytes !== undefined) return text;
  return `${text.slice(0, -1)},"data":${source ?? JSON.stringify(data)}}`;
}

function payload(message: ReceivedMessage): string {
  const { bytes, source, data } = message;
  if (bytes !== undefined) return `(${bytes.length} bytes) ${encodeBase64(bytes)}`;
  if (source !== undefined) return source;
  return typeof data === 'string' ? data : JSON.stringify(data);
}

/** A publisher must not move the reader's cursor or ring the bell: controls are shown, not sent. */
function printable(text: string): string {
  return text.replace(
    // oxlint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function describe(event: Exclude<SubscriptionEvent, ReceivedMessage>): string {
  if (event.kind === 'state') {
    return event.reason === undefined ? event.state : `${event.state} (${event.reason})`;
  }
  const { gap } = event;
  const range = gap?.from === undefined ? '' : ` ${gap.from}–${gap.to ?? '?'}`;
  const missed = gap === undefined ? '' : `, missed${range} (${gap.reason})`;
  if (event.kind === 'gap') return `gap: at ${event.position}${missed}`;
  const recovered = event.recovered === true ? ', nothing missed' : missed;
  return `open at ${event.position}${recovered}`;
}
