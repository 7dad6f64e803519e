/** Event printer: what a subscription tells, for people or for programs. */
import pc from 'picocolors';
import type {
  ConnectionState,
  Gap,
  GapEvent,
  Member,
  Message,
  OpenEvent,
  PresenceEvent,
  SnapshotEvent,
} from '@trunkline/client';
import { encodeBase64 } from '@trunkline/wire';
import type { Io } from './io.ts';

/** The connection changed. */
export interface ConnectionEvent {
  readonly kind: 'state';
  readonly state: ConnectionState;
  readonly reason?: string;
}

/** Messages were lost; not every transport says where it goes on. */
export type LossEvent = Omit<GapEvent, 'position'> & Partial<Pick<GapEvent, 'position'>>;

/** What is printed. */
export type PrintedEvent =
  | Message
  | OpenEvent
  | LossEvent
  | PresenceEvent
  | SnapshotEvent
  | ConnectionEvent;

/**
 * Messages go to standard output; what happens to the connection goes to standard error for people,
 * and is one more object on standard output for programs.
 */
export class EventPrinter {
  readonly #io: Io;
  readonly #json: boolean;
  readonly #many: boolean;
  readonly #colours: ReturnType<typeof pc.createColors>;

  /** @param many true when messages of several channels come, so that each says which. */
  constructor(io: Io, json: boolean, many = false) {
    this.#io = io;
    this.#many = many;
    this.#json = json;
    this.#colours = pc.createColors(io.colour);
  }

  print(event: PrintedEvent): void {
    if (this.#json) this.#io.stdout.write(`${toJson(event)}\n`);
    else if (event.kind === 'message') this.#io.stdout.write(`${this.#line(event)}\n`);
    else this.#io.stderr.write(`trunkline: ${describe(event)}\n`);
  }

  #line(message: Message): string {
    const { dim, cyan } = this.#colours;
    const { epoch, offset, channel } = message;
    const event = message.event === undefined ? '' : `${cyan(printable(message.event))} `;
    const place = epoch === undefined ? '(volatile)' : `${epoch}:${offset}`;
    const from = this.#many ? `${cyan(channel)} ` : '';
    return `${dim(place)} ${from}${event}${printable(payload(message))}`;
  }
}

/** One object on one line, with its position; the payload is embedded as published. */
function toJson(event: PrintedEvent): string {
  if (event.kind !== 'message' && event.kind !== 'snapshot') return JSON.stringify(event);
  const { source, data, bytes, ...rest } = event;
  const isLogged = event.kind === 'message' && event.epoch !== undefined;
  const fields = isLogged ? { ...rest, position: `${event.epoch}:${event.offset}` } : rest;
  const text = JSON.stringify(
    bytes === undefined ? fields : { ...fields, bytes: encodeBase64(bytes) },
  );
  if (bytes !== undefined) return text;
  return `${text.slice(0, -1)},"data":${source ?? JSON.stringify(data)}}`;
}

function payload(message: Message): string {
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

function describe(event: Exclude<PrintedEvent, Message>): string {
  switch (event.kind) {
    case 'state':
      return event.reason === undefined ? event.state : `${event.state} (${event.reason})`;
    case 'gap':
      return `${event.channel}: gap: at ${event.position ?? 'now'}${missed(event.gap)}`;
    case 'join':
    case 'leave':
      return `${event.channel}: ${event.kind} ${nameOf(event.member)}`;
    case 'presence':
      return `${event.channel}: ${event.count} present: ${event.members.map(nameOf).join(', ')}`;
    case 'snapshot':
      return `${event.channel}: begins at the snapshot of ${event.position}`;
    case 'open':
      return describeOpening(event);
  }
}

function describeOpening({ channel, position, mark, volatile, recovered, gap }: OpenEvent): string {
  const place = volatile === true ? 'now, volatile' : (position ?? mark ?? 'now');
  const outcome = recovered === true ? ', nothing missed' : missed(gap);
  return `${channel}: open at ${place}${outcome}`;
}

function missed(gap: Gap | undefined): string {
  if (gap === undefined) return '';
  const range = gap.from === undefined ? '' : ` ${gap.from}–${gap.to ?? '?'}`;
  return `, missed${range} (${gap.reason})`;
}

/** A name that a token said of itself: shown without controls, as a payload is. */
function nameOf({ user, session }: Member): string {
  return printable(user ?? `someone (${session})`);
}
