/**
 * Form: how a message is told to a client. It follows from what the client asked for by all filters that
 * the message matches, since it is delivered once for them together ([MQTT-3.3.5-1]).
 */
import type { Qos, Version } from '../codec/packets.ts';

/** What a client asked for, by one filter. */
export interface FilterOptions {
  /** A channel or a pattern. */
  readonly filter: string;
  readonly qos: Qos;
  /** Not what the session itself published. */
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** The subscription identifier, where it has one. */
  readonly id?: number;
}

/** How a message is told. */
export interface Form {
  readonly version: Version;
  /** The highest QoS that was granted. */
  readonly qos: Qos;
  readonly retainAsPublished: boolean;
  /** Of all subscriptions that the message matches, in rising order. */
  readonly ids: readonly number[];
  /** True when each message is to say where it stands. */
  readonly positions: boolean;
  /** Whose messages are left out; only where the form is of one session. */
  readonly mutedSession?: string | undefined;
}

/** The form of what these filters match, and QoS 0 for what no filter matches any more. */
export function formOf(
  { version, positions }: Pick<Form, 'version' | 'positions'>,
  matching: readonly FilterOptions[],
): Form {
  const ids = matching.flatMap(({ id }) => (id === undefined ? [] : [id]));
  return {
    version,
    qos: highest(matching),
    retainAsPublished: matching.some(({ retainAsPublished }) => retainAsPublished),
    ids: ids.sort((a, b) => a - b),
    positions,
  };
}

function highest(options: readonly FilterOptions[]): Qos {
  return options.reduce<Qos>((max, { qos }) => (qos > max ? qos : max), 0);
}
