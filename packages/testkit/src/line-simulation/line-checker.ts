/**
 * Line checker: judges a run of lines by what their applications were told and what the log holds.
 * Pure: the same history gives the same violations.
 */
import { PublishCheck } from '../checks/publishes.ts';
import { StreamTable } from '../checks/stream-table.ts';
import type { PublishEvent, StreamLog, Violation } from '../history.ts';
import type { Heads, LineEvent } from './line-history.ts';
import { ReadingCheck } from './reading-check.ts';

/** One whole run. */
export interface LineHistory {
  readonly events: readonly LineEvent[];
  /** The log at the end, when everyone had all the time it needs. */
  readonly logs: ReadonlyMap<string, StreamLog>;
  /** Where all channels that a name or pattern matches stand at the end. */
  readonly heads: (filter: string) => Heads;
  readonly keyWindowMs: number;
  /** The newest messages of a channel that are there for sure, and are not too many at once. */
  readonly countMin: (channel: string) => number;
}

/** Every broken promise of a run. Empty: the run kept them all. */
export function checkLines(history: LineHistory): readonly Violation[] {
  const violations: Violation[] = [];
  const report = (violation: Violation | undefined): void => {
    if (violation !== undefined) violations.push(violation);
  };
  const { events, logs, heads, keyWindowMs, countMin } = history;
  const table = new StreamTable();
  const publishes = new PublishCheck(report);
  const published = new Map<string, PublishEvent>();
  const step = events.at(-1)?.step ?? 0;
  const testify = testimony(table, report);
  for (const [channel, { epoch, payloads }] of logs) {
    for (const [offset, payload] of payloads) {
      testify(channel, { epoch, offset }, payload, { witness: 'the log', step });
    }
  }
  for (const [index, event] of events.entries()) {
    if (event.kind === 'publish') {
      published.set(event.payload, published.get(event.payload) ?? event);
      publishes.onPublish(event, index);
    } else if (event.kind === 'acknowledged') {
      const publish = publishes.onAcknowledged(event, index);
      if (publish === undefined) continue;
      const witness = `the acknowledgement of ${event.attempt}`;
      testify(publish.channel, event.position, publish.payload, { witness, step: event.step });
    } else if (event.kind === 'refused') publishes.onRefused(event);
    else if (event.kind === 'purged') publishes.onPurged(event.channel, index);
    else if (event.kind === 'hears' && event.position !== undefined) {
      testify(event.channel, event.position, event.payload, {
        witness: event.reader,
        step: event.step,
      });
    }
  }
  // What anybody was told of an offset is known before it is judged who should have had it.
  const reading = new ReadingCheck({ table, publishes: published, countMin, report });
  for (const event of events) {
    if ('reader' in event) reading.onEvent(event);
    else if (event.kind === 'purged') reading.onPurged(event.channel);
  }
  reading.onEnd(logs, heads, step);
  publishes.onEnd({ table, logs, keyWindowMs });
  return violations;
}

type Testify = (
  channel: string,
  position: { readonly epoch: string; readonly offset: number },
  payload: string,
  by: { readonly witness: string; readonly step: number },
) => void;

function testimony(
  table: StreamTable,
  report: (violation: Violation | undefined) => void,
): Testify {
  return (channel, position, payload, { witness, step }) =>
    report(table.testify({ channel, position }, payload, witness, step));
}
