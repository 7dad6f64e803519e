/** Strip: the live load of the server's machine, drawn from `system/metrics`. */
import type { ComponentChildren } from 'preact';
import { Sparkline } from './chart.tsx';
import type { SparkPoint } from './chart.tsx';
import { formatBytes, formatCount, formatPercent, formatShort } from './format.ts';
import { useChanges, useNow } from './hooks.ts';
import { meanCpu, METRICS_CHANNEL, METRICS_MS } from './metrics.ts';
import type { MetricsFeed, Sample } from './metrics.ts';
import { Tries } from './tries.tsx';

/** The strip of pictures at the top. */
export function Strip({ feed }: { readonly feed: MetricsFeed }) {
  useChanges(feed.changes);
  const now = useNow(1_000);
  const { samples } = feed;
  const newest = samples.at(-1);
  if (newest === undefined) {
    return (
      <section class="strip strip-empty" aria-label="Load of the server's machine">
        <p>
          {feed.status.reason !== undefined && `${feed.status.reason}. `}No load yet. In development
          mode the server publishes it to <code>{METRICS_CHANNEL}</code> once a second.
        </p>
      </section>
    );
  }
  // The right edge is now: while nothing comes the pictures move on and show the silence.
  const edge = newest.time + Math.max(0, now - feed.heardAt);
  const series = (value: (sample: Sample) => number): SparkPoint[] =>
    samples
      .map((sample) => ({ age: edge - sample.time, value: value(sample) }))
      .filter(({ age }) => age <= METRICS_MS);
  const delivered = series(({ rates }) => rates.delivered);
  const published = series(({ rates }) => rates.published);
  const peak = Math.max(1, ...delivered.map(({ value }) => value));
  const lagPeak = Math.max(10, ...series(({ server }) => server.lagMs).map(({ value }) => value));
  const { memory, server, links, rates, cores } = newest;
  // Memory moves little against the whole: its picture is of the change, at least 1% each way.
  const used = series((sample) => sample.memory.used);
  const [least, most] = extremes(used);
  const middle = (least + most) / 2;
  const reach = Math.max(memory.total * 0.01, (most - least) * 0.65);
  const memoryPart = memory.total === 0 ? 0 : memory.used / memory.total;
  return (
    <section class="strip" data-state={feed.status.state} aria-label="Load of the server's machine">
      <Figure
        name="Processor"
        value={formatPercent(meanCpu(newest))}
        note={`${String(cores.length)} cores`}
      >
        <Sparkline
          label={`Processor use over the last minute, now ${formatPercent(meanCpu(newest))}`}
          spanMs={METRICS_MS}
          max={1}
          lines={[
            ...cores.map((_, core) => ({
              tone: 'faint' as const,
              points: series((sample) => sample.cores[core] ?? 0),
            })),
            { tone: 'main', points: series(meanCpu) },
          ]}
        />
      </Figure>
      <Figure
        name="Memory"
        value={formatBytes(memory.used)}
        note={`of ${formatBytes(memory.total)}`}
      >
        <Sparkline
          label={`Memory in use over the last minute, now ${formatPercent(memoryPart)}`}
          spanMs={METRICS_MS}
          min={middle - reach}
          max={middle + reach}
          lines={[{ tone: 'plain', points: used }]}
        />
      </Figure>
      <Figure
        name="Deliveries"
        value={`${formatShort(rates.delivered)}/s`}
        note={`${formatShort(rates.published)}/s published`}
      >
        <Sparkline
          label={`Deliveries a second over the last minute, peak ${formatCount(peak)}`}
          spanMs={METRICS_MS}
          max={peak * 1.15}
          lines={[
            { tone: 'main', points: delivered },
            { tone: 'second', points: published },
          ]}
        />
      </Figure>
      <Figure
        name="Server"
        value={formatBytes(server.rss)}
        note={`${formatPercent(server.cpu)} of a core, lag ${server.lagMs.toFixed(1)} ms`}
      >
        <Sparkline
          label={`Event loop lag over the last minute, now ${server.lagMs.toFixed(1)} ms`}
          spanMs={METRICS_MS}
          max={lagPeak * 1.15}
          lines={[{ tone: 'main', points: series((sample) => sample.server.lagMs) }]}
        />
      </Figure>
      <Figure
        name="Connected"
        value={formatCount(links.websocket + links.sse + links.polls)}
        note={`WebSocket ${formatCount(links.websocket)}, SSE ${formatCount(links.sse)}, polls ${formatCount(links.polls)}`}
      >
        <Sparkline
          label="Open connections and waiting polls over the last minute"
          spanMs={METRICS_MS}
          max={Math.max(4, ...series(total).map(({ value }) => value)) * 1.15}
          lines={[{ tone: 'main', points: series(total) }]}
        />
      </Figure>
    </section>
  );
}

/** Whether the server answers, told by the strip's own line. */
export function ServerStatus({ feed }: { readonly feed: MetricsFeed }) {
  useChanges(feed.changes);
  const { status } = feed;
  const { state, reason } = status;
  const words = {
    connecting: 'Connecting',
    live: 'Server connected',
    reconnecting: 'Server away',
    cut: 'Connecting',
    'gave-up': 'No live load',
  };
  return (
    <p class="badge" data-state={state === 'gave-up' ? 'cut' : state} role="status" title={reason}>
      {words[state]}
      <Tries status={status} />
    </p>
  );
}

function extremes(points: readonly SparkPoint[]): readonly [number, number] {
  const values = points.map(({ value }) => value);
  return values.length === 0 ? [0, 0] : [Math.min(...values), Math.max(...values)];
}

function total({ links }: Sample): number {
  return links.websocket + links.sse + links.polls;
}

function Figure(props: {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly children: ComponentChildren;
}) {
  return (
    <figure class="figure">
      <figcaption>
        <span class="figure-name">{props.name}</span>
        <span class="figure-value">{props.value}</span>
        <span class="figure-note">{props.note}</span>
      </figcaption>
      {props.children}
    </figure>
  );
}
