/**
 * Publishing: from a publisher's request to the log, or to whoever listens where there is none.
 *
 * What a channel's rules ask for is checked here, before anything is stored; a refusal says whether
 * the message may have been stored all the same [PUB-4].
 */
import { ATTRIBUTES_SIZE_MAX, CodedError } from '@trunkline/wire';
import type { Draft, Position } from '@trunkline/wire';
import { BrokerError } from '../broker/broker.ts';
import type { Broker, Idempotency, Published, PublishOptions } from '../broker/broker.ts';
import type { Clock } from '../clock.ts';
import type { NamespaceRules } from '../config/namespace-rules.ts';
import { LatencyCounts } from '../observe/latency.ts';
import type { Alarm, AlarmMarks, Wheel } from '../wheel.ts';
import { refusal } from './refusals.ts';
import { PUBLISH_MS } from './config.ts';
import type { HubConfig } from './config.ts';
import type { Caller, PublishRequest } from './hub-types.ts';
import { checkPayload } from './payload-schemas.ts';
import type { Permissions } from './permissions.ts';
import { checkRetainable } from './retained.ts';
import type { Retained } from './retained.ts';

/** What publishing needs. */
export interface PublishingParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly config: HubConfig;
  readonly permissions: Permissions;
  readonly retained: Retained;
}

/** What may be published, and the rules that it is published by. */
interface Prepared {
  readonly rules: NamespaceRules;
  readonly draft: Draft;
}

/** Publishes for one hub. */
export class Publishing {
  readonly #parts: PublishingParts;
  /** Messages that were stored or broadcast since the start; for the metrics. */
  count = 0;
  /** Refusals since the start, by code; for the metrics. */
  readonly refusedCounts = new Map<string, number>();
  /** How long the log took to acknowledge; for the metrics. */
  readonly latency = new LatencyCounts();

  constructor(parts: PublishingParts) {
    this.#parts = parts;
  }

  /**
   * Publishes one message.
   *
   * @returns where it stands in the log; `undefined` in a volatile channel.
   * @throws {CodedError} that says whether the message may have been stored all the same.
   */
  async publish(
    caller: Caller,
    channel: string,
    request: PublishRequest,
  ): Promise<Position | undefined> {
    try {
      const { rules, draft } = this.#prepare(caller, channel, request);
      const { key, retain } = request;
      const position = rules.volatile
        ? this.#broadcast(channel, draft)
        : await this.#store(channel, draft, {
            retention: rules.history,
            durable: rules.durable,
            ...(key !== undefined && { idempotency: idempotencyOf(caller, key) }),
          });
      if (retain === true) await this.#retain(channel, draft, position);
      this.count += 1;
      return position;
    } catch (error) {
      const refused = withStored(refusal(error));
      this.refusedCounts.set(refused.code, (this.refusedCounts.get(refused.code) ?? 0) + 1);
      throw refused;
    }
  }

  /**
   * Holds a request against everything that is asked of it before it is stored.
   *
   * @throws {CodedError} with which `publish` would refuse it now.
   */
  check(caller: Caller, channel: string, request: PublishRequest): void {
    try {
      this.#prepare(caller, channel, request);
    } catch (error) {
      throw withStored(refusal(error));
    }
  }

  #prepare(caller: Caller, channel: string, request: PublishRequest): Prepared {
    const { config, permissions } = this.#parts;
    permissions.demand(caller.identity, 'publish', channel);
    const rules = config.rulesOf(channel);
    const draft = toDraft(request);
    check(rules, channel, draft);
    if (request.retain === true) checkRetainable(channel, draft);
    return { rules, draft };
  }

  #broadcast(channel: string, draft: Draft): undefined {
    this.#parts.broker.broadcast(channel, draft);
  }

  /** The answer of the log, or one instead of it when it does not come in time [PUB-4]. */
  #store(channel: string, draft: Draft, options: PublishOptions): Promise<Position> {
    const { broker, clock, wheel, config } = this.#parts;
    const { publishMs = PUBLISH_MS } = config;
    const begunMs = clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const deadline = new Deadline(() => {
        const message = `the log did not answer within ${publishMs} ms`;
        reject(new BrokerError('unavailable', message, { stored: 'unknown' }));
      });
      wheel.arm(deadline, publishMs);
      const onStored = ({ position }: Published): void => {
        wheel.cancel(deadline);
        this.latency.add(clock.monotonicMs() - begunMs);
        resolve(position);
      };
      const onRefused = (error: Error): void => {
        wheel.cancel(deadline);
        reject(error);
      };
      broker.publish(channel, draft, options).then(onStored, onRefused);
    });
  }

  async #retain(channel: string, draft: Draft, position: Position | undefined): Promise<void> {
    const time = Math.floor(this.#parts.clock.unixMs());
    const place = position === undefined ? { time } : { position, time };
    try {
      await this.#parts.retained.retain(channel, draft, place);
    } catch (error) {
      // The message is in the log by now; only what is retained is in doubt.
      throw new BrokerError('unavailable', 'the message could not be retained', {
        stored: 'unknown',
        cause: error,
      });
    }
  }
}

/** What of a request is published. */
function toDraft(request: PublishRequest): Draft {
  const { contentType, event, from, slot, ttl, attributes } = request;
  const draft: { -readonly [Field in keyof Draft]: Draft[Field] } = { payload: request.payload };
  if (contentType !== undefined) draft.contentType = contentType;
  if (event !== undefined) draft.event = event;
  if (from !== undefined) draft.from = from;
  if (slot !== undefined) draft.slot = slot;
  if (ttl !== undefined) draft.ttl = ttl;
  if (attributes !== undefined) draft.attributes = attributes;
  return draft;
}

function check(rules: NamespaceRules, channel: string, draft: Draft): void {
  const size = draft.payload.length;
  if (size > rules.messageBytesMax) {
    const expected = `a message in ${channel} may have ${rules.messageBytesMax} bytes`;
    throw new CodedError('too_large', `${expected}, got ${size}`);
  }
  const attributesSize = draft.attributes?.length ?? 0;
  if (attributesSize > ATTRIBUTES_SIZE_MAX) {
    const expected = `the attributes of a message may have ${ATTRIBUTES_SIZE_MAX} bytes`;
    throw new CodedError('too_large', `${expected}, got ${attributesSize}`);
  }
  checkPayload(rules, channel, draft);
}

/** What fails before the broker is asked is not stored; of a fault of ours nobody knows. */
function withStored(error: CodedError): CodedError {
  if (error.stored !== undefined) return error;
  const { code, message, cause } = error;
  return new CodedError(code, message, { stored: code === 'internal' ? 'unknown' : false, cause });
}

/** A wait that ends by itself, on the wheel that all share. */
class Deadline implements Alarm {
  alarmTick = 0;
  alarmBefore: AlarmMarks | undefined;
  alarmAfter: AlarmMarks | undefined;
  readonly onAlarm: () => void;

  constructor(onAlarm: () => void) {
    this.onAlarm = onAlarm;
  }
}

/** Keys are a user's own; anonymous clients share theirs, as nothing tells them apart. */
function idempotencyOf(caller: Caller, key: string): Idempotency {
  const { kind, user } = caller.identity;
  return { key, scope: kind === 'user' ? `user:${user ?? ''}` : kind };
}
