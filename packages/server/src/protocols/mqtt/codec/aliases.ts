/**
 * Aliases: numbers in place of topic names, on one connection (5.0 §3.3.2.3.4). Each side has its own.
 */
import { channelNameFault } from '@trunkline/wire';
import { MqttError } from './faults.ts';
import type { Publish } from './packets.ts';
import { publishProperties } from './publish-frame.ts';
import type { PublishFrame } from './publish-frame.ts';
import { REASONS } from './reasons.ts';

/** What a PUBLISH says of an alias. */
export interface AliasUse {
  readonly properties?: Uint8Array;
  /** True when the alias stands in place of the topic. */
  readonly aliased?: boolean;
}

const NONE: AliasUse = {};

/** Bytes that the property takes. */
const ALIAS_SIZE = 3;

/** Topics shorter than this gain nothing from an alias. */
const TOPIC_LENGTH_MIN = ALIAS_SIZE + 1;

/** Those that the server gave: to the first topics that it sends, as many as the client takes. */
export class AliasTable {
  readonly #countMax: number;
  readonly #uses = new Map<string, AliasUse>();

  /** @param countMax the client's `Topic Alias Maximum`. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /**
   * What to say of a packet's topic; the first time the topic is said too ([MQTT-3.3.2-12]).
   *
   * @param sizeMax bytes that the client takes: a packet is not made larger than that.
   */
  use({ shared: { topic }, bytes }: PublishFrame, sizeMax: number): AliasUse {
    const known = this.#uses.get(topic);
    if (known !== undefined) return known;
    // The sizes in front of what grows may take a byte more each.
    const grown = bytes.length + ALIAS_SIZE + 2;
    if (this.#uses.size === this.#countMax || topic.length < TOPIC_LENGTH_MIN || grown > sizeMax) {
      return NONE;
    }
    const properties = publishProperties({ topicAlias: this.#uses.size + 1 });
    this.#uses.set(topic, { properties, aliased: true });
    return { properties };
  }
}

/** Those that the client gave. */
export class ClientAliases {
  readonly #countMax: number;
  readonly #topics = new Map<number, string>();

  /** @param countMax the `Topic Alias Maximum` that the client was told. */
  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** The topic of a PUBLISH. @throws {MqttError} for an alias that is too high or says nothing. */
  topicOf({ topic, properties: { topicAlias } }: Publish): string {
    if (topicAlias === undefined) return topic;
    if (topicAlias > this.#countMax) {
      const message = `expected a topic alias of at most ${this.#countMax}, got ${topicAlias}`;
      throw new MqttError(REASONS.topicAliasInvalid, '[MQTT-3.3.2-9]', message);
    }
    if (topic !== '') {
      // What is no channel is none by its alias either, and may be long.
      this.#topics.set(topicAlias, channelNameFault(topic) === undefined ? topic : '');
      return topic;
    }
    const known = this.#topics.get(topicAlias);
    if (known !== undefined) return known;
    const message = `the topic alias ${topicAlias} was given to no topic`;
    throw new MqttError(REASONS.protocolError, '[MQTT-3.3.4-1]', message);
  }
}
