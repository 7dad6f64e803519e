/** Charts: small pictures drawn as SVG paths; the page's only graphics. */
import type { ComponentChildren } from 'preact';
import { TRACK_MS } from './track.ts';
import type { Track } from './track.ts';

const WIDTH = 300;
const HEIGHT = 48;
/** Room for the stroke at top and bottom. */
const MARGIN = 2;

/** A value at a time; `age` in milliseconds before the right edge. */
export interface SparkPoint {
  readonly age: number;
  readonly value: number;
}

/** One line of a sparkline. */
export interface SparkLine {
  readonly points: readonly SparkPoint[];
  /** `main` is filled below; `plain` is not, for a picture that does not begin at 0. */
  readonly tone: 'main' | 'plain' | 'faint' | 'second';
}

/** Older neighbours than this are not joined: a time without samples stays visible as a hole. */
const JOIN_MS_MAX = 3_500;

/** Lines over time, the newest at the right. */
export function Sparkline(props: {
  readonly label: string;
  readonly lines: readonly SparkLine[];
  readonly spanMs: number;
  readonly min?: number;
  readonly max: number;
}) {
  const { label, lines, spanMs, min = 0, max } = props;
  const x = (age: number): number => WIDTH * (1 - age / spanMs);
  const y = (value: number): number => toY(max <= min ? 0 : (value - min) / (max - min));
  return (
    <Picture label={label} class="spark">
      {lines.map(({ points, tone }) => {
        const runs = split(points);
        return (
          <>
            {tone === 'main' && (
              <path class="spark-area" d={runs.map((run) => area(run, x, y)).join('')} />
            )}
            <path class={`spark-${tone}`} d={runs.map((run) => polyline(run, x, y)).join('')} />
          </>
        );
      })}
    </Picture>
  );
}

/**
 * How a reader's offset rose: flat while it is away, a steep step when it catches up. The others'
 * tracks stand faintly behind, on the same axes.
 */
export function TrackChart(props: {
  readonly label: string;
  readonly own: Track;
  readonly others: readonly Track[];
  readonly now: number;
}) {
  const { label, own, now } = props;
  const others = props.others.filter(({ epoch }) => epoch === own.epoch);
  const [low, high] = bounds([own, ...others], now);
  const x = (at: number): number => Math.max(0, WIDTH * (1 - (now - at) / TRACK_MS));
  const y = (offset: number): number => toY((offset - low) / Math.max(1, high - low));
  const shown = own.pauses.filter(({ to }) => to === undefined || to > now - TRACK_MS);
  return (
    <Picture label={label} class="track">
      {shown.map(({ from, to }) => (
        <rect
          class="track-pause"
          x={x(from)}
          y={0}
          width={Math.max(0, x(to ?? now) - x(from))}
          height={HEIGHT}
        />
      ))}
      {others.map((track) => (
        <path class="track-other" d={steps(track, now, x, y)} />
      ))}
      <path class="track-own" d={steps(own, now, x, y)} />
    </Picture>
  );
}

function Picture(props: {
  readonly label: string;
  readonly class: string;
  readonly children: ComponentChildren;
}) {
  return (
    <svg
      class={props.class}
      role="img"
      aria-label={props.label}
      viewBox={`0 0 ${String(WIDTH)} ${String(HEIGHT)}`}
      preserveAspectRatio="none"
    >
      {props.children}
    </svg>
  );
}

function toY(part: number): number {
  return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN) * Math.min(1, Math.max(0, part));
}

function split(points: readonly SparkPoint[]): readonly (readonly SparkPoint[])[] {
  const runs: SparkPoint[][] = [];
  let last: SparkPoint | undefined;
  for (const point of points) {
    const run = runs.at(-1);
    if (run === undefined || last === undefined || last.age - point.age > JOIN_MS_MAX) {
      runs.push([point]);
    } else {
      run.push(point);
    }
    last = point;
  }
  return runs;
}

type Scale = (value: number) => number;

function polyline(run: readonly SparkPoint[], x: Scale, y: Scale): string {
  return run
    .map(({ age, value }, index) => `${index === 0 ? 'M' : 'L'}${pair(x(age), y(value))}`)
    .join('');
}

function area(run: readonly SparkPoint[], x: Scale, y: Scale): string {
  const first = run[0];
  const last = run.at(-1);
  if (first === undefined || last === undefined) return '';
  const floor = String(HEIGHT);
  return `${polyline(run, x, y)}L${x(last.age).toFixed(1)} ${floor}L${x(first.age).toFixed(1)} ${floor}Z`;
}

function steps(track: Track, now: number, x: Scale, y: Scale): string {
  const first = track.points[0];
  if (first === undefined) return '';
  let path = `M${pair(x(first.at), y(first.offset))}`;
  for (const { at, offset } of track.points.slice(1)) {
    path += `H${x(at).toFixed(1)}V${y(offset).toFixed(1)}`;
  }
  return `${path}H${x(now).toFixed(1)}`;
}

function bounds(tracks: readonly Track[], now: number): readonly [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const { points } of tracks) {
    // Offsets only rise, so the ends of what is in the window are its bounds.
    const first = points.find(({ at }) => at >= now - TRACK_MS) ?? points.at(-1);
    const last = points.at(-1);
    if (first !== undefined) low = Math.min(low, first.offset);
    if (last !== undefined) high = Math.max(high, last.offset);
  }
  return Number.isFinite(low) ? [low, high] : [0, 1];
}

function pair(x: number, y: number): string {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}
