/**
 * Encoding: messages of the hub as PUBLISH packets. Their bytes are made once for all sessions that
 * are told the same; what differs between those is put into copies (see `Delivery`).
 */
import { formatPosition, matchesPattern } from '@trunkline/wire';
import type { Message } from '@trunkline/wire';
import type { Clock } from '../../../clock.ts';
import type { Encoding, Run } from '../../../hub/hub-types.ts';
import { SharedBatch } from '../../../link/shared-batch.ts';
import type { Qos } from '../codec/packets.ts';
import type { PropertiesOf } from '../codec/property-table.ts';
import { joinFrames, publishFrame, publishProperties } from '../codec/publish-frame.ts';
import type { PublishFrame, PublishRun } from '../codec/publish-frame.ts';
import { attributesOf } from './attributes.ts';
import type { FilterOptions, Form } from './form.ts';
import { endOf } from './place.ts';
import type { BatchEnd, Place } from './place.ts';

/** A PUBLISH and the message it is of. */
export interface Publication {
  readonly frame: PublishFrame;
  readonly place: Place;
  /** Unix milliseconds at which the message was stored; infinite for what comes from no log. */
  readonly time: number;
}

/** The packets of one turn. `payload` has all of them, with packet identifiers 0. */
export class PublishBatch extends SharedBatch {
  readonly publications: readonly Publication[];
  readonly run: PublishRun;
  readonly end: BatchEnd;
  /** Bytes of the largest packet. */
  readonly sizeMax: number;
  /** When the oldest of its messages was stored. */
  readonly timeMin: number;

  constructor(publications: readonly Publication[], end: BatchEnd) {
    const run = joinFrames(publications.map(({ frame }) => frame));
    super(run.bytes, false);
    this.run = run;
    this.publications = publications;
    this.end = end;
    this.sizeMax = publications.reduce((max, { frame }) => Math.max(max, frame.bytes.length), 0);
    this.timeMin = publications.reduce((min, { time }) => Math.min(min, time), Infinity);
  }

  /** How many packets have an identifier. */
  get idCount(): number {
    return this.run.idsAt.length;
  }
}

/** What is left of the time of a message is told in seconds. */
const FRESH_MS = 1000;

/** The packets of one form. */
export class PublishEncoding implements Encoding {
  readonly name: string;
  readonly freshMs = FRESH_MS;
  readonly #form: Form;
  readonly #clock: Pick<Clock, 'unixMs'>;

  constructor(form: Form, clock: Pick<Clock, 'unixMs'>) {
    this.name = `mqtt-${nameOf(form)}`;
    this.#form = form;
    this.#clock = clock;
  }

  encode(runs: readonly Run[], mark?: string): PublishBatch {
    return encodeRuns(runs, mark, this.#clock, () => this.#form);
  }
}

/** For sessions whose subscriptions overlap: what a message matches decides about its form. */
export class OverlapEncoding implements Encoding {
  readonly name = 'mqtt-overlap';
  readonly freshMs = FRESH_MS;
  readonly #formOf: (channel: string) => Form;
  readonly #clock: Pick<Clock, 'unixMs'>;

  constructor(formOf: (channel: string) => Form, clock: Pick<Clock, 'unixMs'>) {
    this.#formOf = formOf;
    this.#clock = clock;
  }

  encode(runs: readonly Run[], mark?: string): PublishBatch {
    return encodeRuns(runs, mark, this.#clock, this.#formOf);
  }
}

/** Forms that are shared in one process: those that were asked for last. */
const FORMS_MAX = 1_000;

/** Subscriptions that overlap in the same way in several sessions: more of them hardly do. */
const OVERLAPPING_MAX = 8;

/** The encodings of one process: one for each form, since an encoding is a key. */
export class Encodings {
  readonly #clock: Pick<Clock, 'unixMs'>;
  readonly #known = new Map<string, PublishEncoding>();
  readonly #overlapping = new Map<string, OverlapEncoding>();

  constructor(clock: Pick<Clock, 'unixMs'>) {
    this.#clock = clock;
  }

  /** The encoding for all that are told the same. */
  of(form: Form): PublishEncoding {
    return recall(this.#known, nameOf(form), () => new PublishEncoding(form, this.#clock));
  }

  /**
   * The encoding for all whose subscriptions overlap in the same way.
   *
   * @param all that may match the same messages.
   * @param formOf the form of a message that these match.
   */
  overlapping(
    all: readonly FilterOptions[],
    formOf: (matching: readonly FilterOptions[]) => Form,
  ): OverlapEncoding {
    // A name is as long as all filters together.
    if (all.length > OVERLAPPING_MAX) return this.own(all, formOf);
    const name = `${nameOf(formOf(all))}-${JSON.stringify(all)}`;
    return recall(this.#overlapping, name, () => this.own(all, formOf));
  }

  /** The same for one session alone. */
  own(
    all: readonly FilterOptions[],
    formOf: (matching: readonly FilterOptions[]) => Form,
  ): OverlapEncoding {
    const matching = (channel: string) =>
      all.filter(({ filter }) => matchesPattern(filter, channel));
    return new OverlapEncoding((channel) => formOf(matching(channel)), this.#clock);
  }
}

/** What was made for a name; the one that was asked for longest ago makes room. */
function recall<Made>(known: Map<string, Made>, name: string, make: () => Made): Made {
  const made = known.get(name) ?? make();
  known.delete(name);
  known.set(name, made);
  const [oldest = name] = known.keys();
  if (known.size > FORMS_MAX) known.delete(oldest);
  return made;
}

/** One message as a PUBLISH. @param isRetained true where it is told because it was retained. */
export function toPublication(
  { channel, epoch }: Pick<Run, 'channel' | 'epoch'>,
  message: Message,
  form: Form,
  told: { readonly nowMs: number; readonly isRetained?: boolean },
): Publication {
  const { version } = form;
  const attributes = attributesOf(message);
  // What has no place in a log can't be sent again.
  const granted = epoch === '' ? 0 : form.qos;
  const frame = publishFrame({
    version,
    topic: channel,
    payload: message.payload,
    qos: Math.min(granted, attributes.qos) as Qos,
    // [MQTT-3.3.1-8], [MQTT-3.3.1-9]; in 5.0 the subscriber may ask for it ([MQTT-3.3.1-13]).
    retain: told.isRetained === true || (form.retainAsPublished && attributes.retain),
    ...(version === 5 && {
      properties: joined(
        attributes.properties,
        publishProperties({
          ...ownProperties(message, told.nowMs),
          ...formProperties(epoch, message, form),
        }),
      ),
    }),
  });
  const { offset } = message;
  const place: Place =
    told.isRetained === true
      ? { channel, epoch, offset, isRetained: true }
      : { channel, epoch, offset };
  const isOfLog = epoch !== '' && told.isRetained !== true;
  return { frame, place, time: isOfLog ? message.time : Infinity };
}

/** A client asks for positions by this property of CONNECT, with the value 1. */
export const POSITIONS_PROPERTY = 'trunkline.positions';

/** The property that says where a message stands, for who goes on from there over another protocol. */
export const POSITION_PROPERTY = 'trunkline.position';

/** The property of CONNACK with the word of the session, by which presence and `from` name it. */
export const SESSION_PROPERTY = 'trunkline.session';

/** What is not the same at every time. */
function ownProperties({ expiresAt }: Message, nowMs: number): PropertiesOf<'publish'> {
  if (expiresAt === undefined) return {};
  // What is left of the time it was given [MQTT-3.3.2-6].
  return { messageExpiryInterval: Math.max(1, Math.ceil((expiresAt - nowMs) / 1000)) };
}

/** What this form adds. */
function formProperties(
  epoch: string,
  { offset }: Message,
  { ids, positions }: Form,
): PropertiesOf<'publish'> {
  const position = positions && epoch !== '' ? formatPosition({ epoch, offset }) : undefined;
  return {
    ...(ids.length === 0 ? {} : { subscriptionIdentifiers: ids }),
    ...(position === undefined ? {} : { userProperties: [[POSITION_PROPERTY, position] as const] }),
  };
}

function encodeRuns(
  runs: readonly Run[],
  mark: string | undefined,
  clock: Pick<Clock, 'unixMs'>,
  formOf: (channel: string) => Form,
): PublishBatch {
  const told = { nowMs: clock.unixMs() };
  const publications: Publication[] = [];
  for (const run of runs) {
    const form = formOf(run.channel);
    const { mutedSession: muted } = form;
    for (const message of run.messages) {
      if (muted !== undefined && message.from?.session === muted) continue;
      publications.push(toPublication(run, message, form, told));
    }
  }
  return new PublishBatch(publications, endOf(runs, mark));
}

/** User properties of the publisher stay in front, in their order [MQTT-3.3.2-18]. */
function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (second.length === 0) return first;
  return first.length === 0 ? second : Buffer.concat([first, second]);
}

function nameOf({ version, qos, retainAsPublished, ids, positions }: Form): string {
  const options = `${retainAsPublished ? 'r' : ''}${positions ? 'p' : ''}`;
  return `${version}-${qos}${options}-${ids.join(',')}`;
}
