/** Strip: the live load of the server's machine, drawn from `system/metrics`. */
import type { ComponentChildren } from 'preact';
import { Sparkline } from './chart.tsx';
import type { SparkPoint } from './chart.tsx';
import { formatBytes, formatCount, formatPercent, formatShort } from './format.ts';
import { useChanges, useNow } from './hooks.tsx';
import { meanCpu, METRICS_CHANNEL, METRICS_MS } from './metrics.ts';
import type { MetricsFeed, Sample } from './metrics.ts';
import { Tries } from './tries.tsx';

/** What a picture leaves free above its peak. */
const HEADROOM = 1.15;

/** What every picture is drawn from. */
interface View {
  readonly newest: Sample;
  /** One figure of each sample of the last minute. */
  series(value: (sample: Sample) => number): readonly SparkPoint[];
}

/** The strip of pictures at the top. */
export function Strip({ feed }: { readonly feed: MetricsFeed }) {
  useChanges(feed.changes);
  const now = useNow(1_000);
  const { samples, status } = feed;
  const newest = samples.at(-1);
  if (newest === undefined) return <NoLoad reason={status.reason} />;
  // The right edge is now: while nothing comes the pictures move on and show the silence.
  const edge = newest.time + Math.max(0, now - feed.heardAt);
  const view: View = {
    newest,
    series: (value) =>
      samples
        .map((sample) => ({ age: edge - sample.time, value: value(sample) }))
        .filter(({ age }) => age <= METRICS_MS),
  };
  return (
    <section class="strip" data-state={status.state} aria-label="Load of the server's machine">
      <Processor {...view} />
      <Memory {...view} />
      <Deliveries {...view} />
      <ServerProcess {...view} />
      <Connected {...view} />
      <Devices {...view} />
      <Channels {...view} />
    </section>
  );
}

function NoLoad({ reason }: { readonly reason: string | undefined }) {
  return (
    <section class="strip strip-empty" aria-label="Load of the server's machine">
      <p>
        No load yet. In development mode the server publishes it to <code>{METRICS_CHANNEL}</code>{' '}
        once a second. {reason !== undefined && `What the server says here: ${reason}.`}
      </p>
    </section>
  );
}

function Processor({ newest, series }: View) {
  const use = formatPercent(meanCpu(newest));
  return (
    <Figure name="Processor" value={use} note={`${String(newest.cores.length)} cores`}>
      <Sparkline
        label={`Processor use over the last minute, now ${use}`}
        spanMs={METRICS_MS}
        max={1}
        lines={[
          ...newest.cores.map((_, core) => ({
            tone: 'faint' as const,
            points: series((sample) => sample.cores[core] ?? 0),
          })),
          { tone: 'main', points: series(meanCpu) },
        ]}
      />
    </Figure>
  );
}

function Memory({ newest, series }: View) {
  const { used, total } = newest.memory;
  // Memory moves little against the whole: its picture is of the change, at least 1% each way.
  const points = series((sample) => sample.memory.used);
  const [least, most] = extremes(points);
  const middle = (least + most) / 2;
  const reach = Math.max(total * 0.01, (most - least) * 0.65);
  return (
    <Figure name="Memory" value={formatBytes(used)} note={`of ${formatBytes(total)}`}>
      <Sparkline
        label={`Memory in use over the last minute, now ${formatBytes(used)}`}
        spanMs={METRICS_MS}
        min={middle - reach}
        max={middle + reach}
        lines={[{ tone: 'plain', points }]}
      />
    </Figure>
  );
}

function Deliveries({ newest, series }: View) {
  const delivered = series(({ rates }) => rates.delivered);
  const published = series(({ rates }) => rates.published);
  const [, peak] = extremes([...delivered, ...published]);
  return (
    <Figure
      name="Deliveries"
      value={`${formatShort(newest.rates.delivered)}/s`}
      note={`${formatShort(newest.rates.published)}/s published`}
    >
      <Sparkline
        label={`Deliveries and publishes a second over the last minute, peak ${formatCount(peak)}`}
        spanMs={METRICS_MS}
        max={Math.max(1, peak) * HEADROOM}
        lines={[
          { tone: 'main', points: delivered },
          { tone: 'second', points: published },
        ]}
      />
    </Figure>
  );
}

function ServerProcess({ newest, series }: View) {
  const { rss, cpu, lagMs } = newest.server;
  const points = series(({ server }) => server.lagMs);
  const [, peak] = extremes(points);
  return (
    <Figure
      name="Server"
      value={formatBytes(rss)}
      note={`${formatPercent(cpu)} of a core, lag ${lagMs.toFixed(1)} ms`}
    >
      <Sparkline
        label={`Event loop lag over the last minute, now ${lagMs.toFixed(1)} ms`}
        spanMs={METRICS_MS}
        max={Math.max(10, peak) * HEADROOM}
        lines={[{ tone: 'main', points }]}
      />
    </Figure>
  );
}

function Connected({ newest, series }: View) {
  const { websocket, sse, polls } = newest.links;
  const points = series(linkCount);
  const [, peak] = extremes(points);
  return (
    <Figure
      name="Connected"
      value={formatCount(linkCount(newest))}
      note={`WebSocket ${formatCount(websocket)}, SSE ${formatCount(sse)}, polls ${formatCount(polls)}`}
    >
      <Sparkline
        label="Open connections and waiting polls over the last minute"
        spanMs={METRICS_MS}
        max={Math.max(4, peak) * HEADROOM}
        lines={[{ tone: 'main', points }]}
      />
    </Figure>
  );
}

function Devices({ newest, series }: View) {
  const { tcp, tls, websocket } = newest.mqtt;
  const points = series(deviceCount);
  const [, peak] = extremes(points);
  return (
    <Figure
      name="MQTT"
      value={formatCount(deviceCount(newest))}
      note={`TCP ${formatCount(tcp)}, TLS ${formatCount(tls)}, WebSocket ${formatCount(websocket)}`}
    >
      <Sparkline
        label="Connections of MQTT over the last minute"
        spanMs={METRICS_MS}
        max={Math.max(4, peak) * HEADROOM}
        lines={[{ tone: 'main', points }]}
      />
    </Figure>
  );
}

function Channels({ newest, series }: View) {
  const { channels, subscriptions, members } = newest.hub;
  const readers = series(({ hub }) => hub.subscriptions);
  const people = series(({ hub }) => hub.members);
  const [, peak] = extremes([...readers, ...people]);
  return (
    <Figure
      name="Channels"
      value={formatCount(channels)}
      note={`${formatShort(subscriptions)} subscribed, ${formatShort(members)} present`}
    >
      <Sparkline
        label="Subscriptions and members present over the last minute"
        spanMs={METRICS_MS}
        max={Math.max(4, peak) * HEADROOM}
        lines={[
          { tone: 'main', points: readers },
          { tone: 'second', points: people },
        ]}
      />
    </Figure>
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

function linkCount({ links, mqtt }: Sample): number {
  return links.websocket + links.sse + links.polls + mqtt.tcp + mqtt.tls;
}

function deviceCount({ mqtt: { tcp, tls, websocket } }: Sample): number {
  return tcp + tls + websocket;
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
        <span class="figure-note" title={props.note}>
          {props.note}
        </span>
      </figcaption>
      {props.children}
    </figure>
  );
}
