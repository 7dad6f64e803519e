/**
 * History checker: judges a whole run by what its clients were told and what the log holds, and
 * knows nothing of how the server works. Pure: the same history gives the same violations.
 */
import { DeliveryCheck } from './checks/deliveries.ts';
import { PresenceCheck } from './checks/presence.ts';
import { PublishCheck } from './checks/publishes.ts';
import { SessionCheck } from './checks/sessions.ts';
import { StreamTable } from './checks/stream-table.ts';
import { VolatileCheck } from './checks/volatile.ts';
import type { History, HistoryEvent, StreamLog, Violation } from './history.ts';

/** Every broken promise of a run, in the order they show. Empty: the run kept them all. */
export function checkHistory(history: History): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (violation: Violation | undefined): void => {
    if (violation !== undefined) violations.push(violation);
  };
  const table = new StreamTable();
  const deliveries = new DeliveryCheck(report);
  const publishes = new PublishCheck(report);
  const purgesOf = (channel: string): number => publishes.purgesOf(channel);
  const sessions = new SessionCheck({ report, publishes, purgesOf });
  const volatile = new VolatileCheck(report);
  const presence = new PresenceCheck(report);
  for (const [index, event] of history.events.entries()) {
    check(event, index, { table, deliveries, publishes, sessions, volatile, presence, report });
  }
  const step = history.events.at(-1)?.step ?? 0;
  const { logs, keyWindowMs, retainedMin = () => 0 } = history;
  if (logs !== undefined) {
    for (const [channel, log] of logs) checkLog(channel, log, { step, retainedMin, table, report });
    deliveries.onEnd(logs, step);
    volatile.onEnd(step);
    presence.onEnd(history.listed ?? [], step);
  }
  sessions.onEnd(logs, { table, step, jumped: history.jumped === true });
  publishes.onEnd({ table, logs, keyWindowMs });
  return violations;
}

/** A violation as one line. */
export function formatViolation(violation: Violation): string {
  const { promise, step, channel, message } = violation;
  return `promise ${promise}, step ${step}, channel ${channel}: ${message}`;
}

type Report = (violation: Violation | undefined) => void;

interface Checks {
  readonly table: StreamTable;
  readonly deliveries: DeliveryCheck;
  readonly publishes: PublishCheck;
  readonly sessions: SessionCheck;
  readonly volatile: VolatileCheck;
  readonly presence: PresenceCheck;
  readonly report: Report;
}

function check(event: HistoryEvent, index: number, checks: Checks): void {
  const { table, deliveries, publishes, sessions, volatile, presence, report } = checks;
  switch (event.kind) {
    case 'publish':
      volatile.onPublish(event, index);
      return publishes.onPublish(event, index);
    case 'passed':
      return volatile.onPassed(event, index);
    case 'acknowledged': {
      const publish = publishes.onAcknowledged(event, index);
      if (publish === undefined) return;
      const { channel, payload } = publish;
      const witness = `the acknowledgement of ${event.attempt}`;
      return report(
        table.testify({ channel, position: event.position }, payload, witness, event.step),
      );
    }
    case 'refused':
      return publishes.onRefused(event);
    case 'opened':
      return deliveries.onOpened(event);
    case 'message': {
      const channel = deliveries.channelOf(event.subscription);
      if (channel !== undefined) {
        const witness = `subscription ${event.subscription}`;
        report(table.testify({ channel, position: event }, event.payload, witness, event.step));
      }
      return deliveries.onMessage(event);
    }
    case 'gap':
      return deliveries.onGap(event);
    case 'reached':
      return deliveries.onReached(event);
    case 'closed':
      return deliveries.onClosed(event.subscription);
    case 'purged':
      return publishes.onPurged(event.channel, index);
    case 'given': {
      const { channel, session, payload, step } = event;
      report(table.testify({ channel, position: event }, payload, `session ${session}`, step));
      return sessions.onEvent(event);
    }
    default:
      volatile.onEvent(event, index);
      presence.onEvent(event);
      return sessions.onEvent(event);
  }
}

/** The log has no holes and holds at least what retention must leave. */
function checkLog(
  channel: string,
  log: StreamLog,
  checks: {
    readonly step: number;
    readonly retainedMin: (channel: string) => number;
    readonly table: StreamTable;
    readonly report: Report;
  },
): void {
  const { step, retainedMin, table, report } = checks;
  const { epoch, oldest, top, payloads } = log;
  for (let offset = oldest; offset <= top; offset += 1) {
    const payload = payloads.get(offset);
    if (payload === undefined) {
      const message = `the log has a hole at ${offset}, between ${oldest} and ${top}`;
      report({ promise: 5, step, channel, message });
    } else {
      report(table.testify({ channel, position: { epoch, offset } }, payload, 'the log', step));
    }
  }
  const retained = top - oldest + 1;
  const expected = Math.min(top, retainedMin(channel));
  if (retained < expected) {
    const message = `the log holds ${retained} messages, retention must leave ${expected}`;
    report({ promise: 5, step, channel, message });
  }
}
