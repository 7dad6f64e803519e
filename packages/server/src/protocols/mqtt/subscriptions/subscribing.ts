/**
 * Subscribing: SUBSCRIBE and UNSUBSCRIBE, filter by filter, and their answers.
 */
import { CodedError, isWildcard, patternFault } from '@trunkline/wire';
import { channelNameFault } from '@trunkline/wire';
import type { Suback, Subscribe, Unsuback, Unsubscribe } from '../codec/packets.ts';
import { ALLOWED_REASONS, REASONS } from '../codec/reasons.ts';
import { reasonOf } from '../refusal.ts';
import type { MqttSession } from '../session/session.ts';
import { FILTERS_MAX } from '../sys/sys-subscriptions.ts';

/**
 * Subscribes to all filters of a packet, in their order. The answer leaves when all that is subscribed
 * to is stored; messages may come before it ([MQTT-3.8.4-1] allows that).
 */
export async function subscribeAll(
  session: MqttSession,
  { packetId, subscriptions, properties }: Subscribe,
  answer: (suback: Suback) => void,
): Promise<void> {
  const [id] = properties.subscriptionIdentifiers ?? [];
  const reasons: number[] = [];
  const begins: (() => void)[] = [];
  // As many as a session may have.
  const countMax = session.parts.config.subscriptionsMax + FILTERS_MAX;
  for (const [index, subscription] of subscriptions.entries()) {
    const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription;
    const options = {
      filter,
      qos,
      noLocal,
      retainAsPublished,
      ...(id === undefined ? {} : { id }),
    };
    try {
      // Not looked at: a packet has room for very many.
      if (index >= countMax) {
        throw new CodedError('rate_limited', `at most ${countMax} filters a packet`);
      }
      begins.push(await session.subscribe(options, retainHandling));
      reasons.push(qos);
    } catch (error) {
      reasons.push(subackReason(session, error));
    }
  }
  await session.save();
  answer({ kind: 'suback', packetId, reasons, properties: {} });
  for (const begin of begins) begin();
}

/** Unsubscribes from all filters of a packet; what is under way is finished [MQTT-3.10.4-3]. */
export async function unsubscribeAll(
  session: MqttSession,
  { packetId, filters }: Unsubscribe,
): Promise<Unsuback> {
  const reasons = filters.map((filter) =>
    session.unsubscribe(filter) ? REASONS.success : REASONS.noSubscriptionExisted,
  );
  await session.save();
  return { kind: 'unsuback', packetId, reasons, properties: {} };
}

/** @throws {CodedError} for what is a filter of MQTT and no channel or pattern here. */
export function checkFilter(filter: string): void {
  const fault = isWildcard(filter) ? patternFault(filter) : channelNameFault(filter);
  if (fault !== undefined) throw new CodedError('not_found', `the filter ${fault}`);
}

function subackReason({ terms }: MqttSession, error: unknown): number {
  const { coded, reason } = reasonOf(error);
  // 3.1.1 knows one ([MQTT-3.9.3-2]).
  if (terms.version === 4) return REASONS.unspecifiedError;
  if (coded.code === 'not_found') return REASONS.topicFilterInvalid;
  return ALLOWED_REASONS.suback.codes.has(reason) ? reason : REASONS.unspecifiedError;
}
