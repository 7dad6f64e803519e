/**
 * Metrics: what the parts of a server count, as the text that Prometheus reads.
 *
 * Nothing happens between two scrapes: the parts keep plain numbers, and a scrape looks at them. The
 * facts of the process (`process_*`, `nodejs_*`) keep the names that dashboards know.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { LATENCY_BOUNDS, LatencyCounts } from './latency.ts';
import { METRICS } from './metric-definitions.ts';
import type { MetricDefinition, MetricKey } from './metric-definitions.ts';

/** The values of a metric's labels, in their order, and a number. */
export type LabelledNumber = readonly [...labels: string[], value: number];

/** Numbers by label. */
export type LabelledNumbers = Iterable<LabelledNumber>;

/**
 * What the parts say at one moment: a number, numbers by label, or a histogram's classes, as the
 * metric's definition asks. What is left out is not told.
 */
export type Readings = {
  readonly [Key in MetricKey]?: ReadingOf<(typeof METRICS)[Key]>;
};

type ReadingOf<Definition extends MetricDefinition> = Definition extends { kind: 'histogram' }
  ? LatencyCounts
  : Definition extends { labels: readonly string[] }
    ? LabelledNumbers
    : number;

/** A scrape's answer. */
export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** How often the delay of the event loop is sampled. */
const LOOP_RESOLUTION_MS = 20;

/**
 * The facts of the process. They belong to it and not to a server: however many servers there are,
 * the event loop is sampled once, and not at all before somebody asks.
 */
let processRegistry: Registry | undefined;

/** Answers scrapes from what `read` says. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #read: () => Readings;
  #readings: Readings = {};

  constructor(read: () => Readings) {
    this.#read = read;
    for (const [key, definition] of Object.entries<MetricDefinition>(METRICS)) {
      if (definition.kind !== 'histogram') this.#register(key as MetricKey, definition);
    }
  }

  /** Everything as it is now. */
  async page(): Promise<MetricsPage> {
    if (processRegistry === undefined) {
      processRegistry = new Registry();
      collectDefaultMetrics({
        register: processRegistry,
        eventLoopMonitoringPrecision: LOOP_RESOLUTION_MS,
      });
    }
    const readings = this.#read();
    this.#readings = readings;
    const own = await this.#registry.metrics();
    const { publishSeconds } = readings;
    const histogram =
      publishSeconds === undefined ? '' : histogramText(METRICS.publishSeconds, publishSeconds);
    const text = own + histogram + (await processRegistry.metrics());
    return { contentType: this.#registry.contentType, text };
  }

  #register(key: MetricKey, { name, kind, help, labels = [] }: MetricDefinition): void {
    const shared = { name, help, labelNames: labels, registers: [this.#registry] };
    // Without labels it begins at 0, which would be told where nothing is known.
    const isBare = labels.length === 0;
    // What these ask for when they are collected; they keep nothing between two scrapes.
    const numbers = (): LabelledNumbers => numbersOf(this.#readings[key]);
    if (kind === 'counter') {
      const counter = new Counter<string>({
        ...shared,
        collect() {
          counter.reset();
          if (isBare) counter.remove();
          for (const row of numbers()) counter.inc(labelled(labels, row), valueOf(row));
        },
      });
    } else {
      const gauge = new Gauge<string>({
        ...shared,
        collect() {
          gauge.reset();
          if (isBare) gauge.remove();
          for (const row of numbers()) gauge.set(labelled(labels, row), valueOf(row));
        },
      });
    }
  }
}

function numbersOf(reading: number | LabelledNumbers | LatencyCounts | undefined): LabelledNumbers {
  if (typeof reading === 'number') return [[reading]];
  return reading === undefined || reading instanceof LatencyCounts ? [] : reading;
}

function valueOf(row: LabelledNumber): number {
  return row.at(-1) as number;
}

function labelled(labels: readonly string[], row: LabelledNumber): Record<string, string> {
  return Object.fromEntries(labels.map((label, index) => [label, String(row[index])]));
}

/** Written here: prom-client shows no classes that were counted elsewhere. */
function histogramText({ name, help }: MetricDefinition, latency: LatencyCounts): string {
  const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
  let count = 0;
  for (const [index, classCount] of latency.counts.entries()) {
    count += classCount;
    lines.push(`${name}_bucket{le="${LATENCY_BOUNDS[index] ?? '+Inf'}"} ${count}`);
  }
  lines.push(`${name}_sum ${latency.sumSeconds}`, `${name}_count ${count}`);
  return `\n${lines.join('\n')}\n\n`;
}
