/**
 * MQTT checker: judges a whole run by what MQTT clients were told and what came into the log, and
 * knows nothing of how the server works. Pure: the same history gives the same violations.
 */
import { DeliveryCheck } from './mqtt-simulation/delivery-check.ts';
import type { MqttEvent, MqttHistory, MqttViolation } from './mqtt-simulation/mqtt-history.ts';
import { PublishCheck } from './mqtt-simulation/publish-check.ts';
import { SessionCheck } from './mqtt-simulation/session-check.ts';

/** Every broken promise of a run, in the order they show. Empty: the run kept them all. */
export function checkMqtt(history: MqttHistory): readonly MqttViolation[] {
  const { events, channels, mayLose, seenMs } = history;
  const violations: MqttViolation[] = [];
  const report = (violation: MqttViolation): void => void violations.push(violation);
  const publishes = new PublishCheck(report);
  const checks: Checks = {
    report,
    publishes,
    sessions: new SessionCheck(report, channels.some(mayLose)),
    deliveries: new DeliveryCheck({
      report,
      channels,
      mayLose,
      seenMs,
      qosOf: (payload) => publishes.qosOf(payload),
    }),
  };
  for (const [index, event] of events.entries()) check(event, index, checks);
  return violations;
}

/** A violation as one line. */
export function formatMqttViolation({ promise, step, message }: MqttViolation): string {
  return `promise ${promise}, step ${step}: ${message}`;
}

interface Checks {
  readonly report: (violation: MqttViolation) => void;
  readonly publishes: PublishCheck;
  readonly sessions: SessionCheck;
  readonly deliveries: DeliveryCheck;
}

function check(event: MqttEvent, index: number, checks: Checks): void {
  const { report, publishes, sessions, deliveries } = checks;
  switch (event.kind) {
    case 'connect':
      return sessions.onConnect(event);
    case 'welcome':
      return sessions.onWelcome(event);
    case 'end':
      return sessions.onEnd(event);
    case 'subscribed':
      sessions.onSubscribed(event);
      return deliveries.onSubscription(event, index);
    case 'subscribe':
    case 'unsubscribe':
    case 'unsubscribed':
      return deliveries.onSubscription(event, index);
    case 'send':
      return publishes.onSend(event);
    case 'acknowledged':
      return publishes.onAcknowledged(event);
    case 'committed':
      publishes.onCommitted(event);
      return deliveries.onCommitted(event, index);
    case 'known':
      return deliveries.onKnown(event);
    case 'arrived':
      return deliveries.onArrived(event, index);
    case 'delivered':
      return deliveries.onDelivered(event);
    case 'loss':
      return deliveries.onLoss(event);
    case 'misconduct': {
      const { step, client, what } = event;
      return report({ promise: 'conduct', step, message: `${client}: ${what}` });
    }
    case 'crash':
      sessions.onCrash();
      return deliveries.onCrash(event, index);
    case 'rest':
      for (const message of event.stuck) report({ promise: 'stuck', step: event.step, message });
      return deliveries.onRest(event, index);
    case 'refused':
      return undefined;
  }
}
