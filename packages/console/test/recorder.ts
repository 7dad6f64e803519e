/** Recorder: writes down, in order, what a line tells. */
import { formatPosition } from '@trunkline/wire';
import type { LineEvent, LineMessage, LineOptions, Verdict } from '../src/lines/line.ts';
import { Standing } from '../src/lines/standing.ts';
import { ManualPace } from './manual-pace.ts';

/** What is written down only where a test asks for it. */
export type Aside = 'begun' | 'bytes' | 'carrier' | 'session' | 'presence';

export class Recorder {
  readonly pace = new ManualPace();
  readonly told: string[] = [];
  readonly #asides: ReadonlySet<string>;
  #waiting: (() => void)[] = [];

  constructor(...asides: Aside[]) {
    this.#asides = new Set(asides);
  }

  /** Options for a line that is written down. */
  options(rest: Partial<LineOptions> = {}): LineOptions {
    return {
      server: 'http://127.0.0.1:1',
      filters: ['room/42'],
      pace: this.pace,
      onEvent: (event) => this.#onEvent(event),
      ...rest,
    };
  }

  /** Resolves once a line has told this; at once when it already has. */
  async until(text: string): Promise<void> {
    while (!this.told.includes(text)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #onEvent(event: LineEvent): void {
    const text = textOf(event);
    const isAside = ['begun', 'bytes', 'carrier', 'session', 'presence'].includes(event.kind);
    if (!isAside || this.#asides.has(event.kind)) this.told.push(text);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** A standing in one channel at one place. */
export function standingAt(place: string, channel = 'room/42'): Standing {
  const standing = new Standing([channel]);
  standing.begin(channel, place);
  return standing;
}

function textOf(event: LineEvent): string {
  switch (event.kind) {
    case 'message':
      return messageText(event.message);
    case 'verdict':
      return verdictText(event.verdict);
    case 'state': {
      const { state, reason } = event.status;
      return reason === undefined ? state : `${state}: ${reason}`;
    }
    case 'begun':
      return `begun ${event.filter} ${event.at ? formatPosition(event.at) : 'nowhere'}`;
    case 'gap': {
      const at = event.at === undefined ? 'nowhere' : formatPosition(event.at);
      return `gap ${event.channel} ${event.gap.reason} ${at}`;
    }
    case 'expired':
      return `expired ${event.channel} ${event.from} to ${event.to}`;
    case 'snapshot':
      return `snapshot ${event.snapshot.position} ${event.snapshot.payload}`;
    case 'presence':
      return `${event.news.kind} ${event.news.channel}`;
    case 'session':
      return `session ${event.session}`;
    case 'carrier':
      return `carrier ${JSON.stringify(event.carrier)}`;
    case 'bytes':
      return `bytes ${event.count}`;
  }
}

function messageText({ channel, position, event, payload, kind }: LineMessage): string {
  const place = position === undefined ? 'volatile' : formatPosition(position);
  const words = [kind, event, channel === 'room/42' ? undefined : channel, place, payload];
  return words.filter((word) => word !== undefined).join(' ');
}

function verdictText(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'started':
      return verdict.at === undefined ? 'started' : `started ${formatPosition(verdict.at)}`;
    case 'recovered': {
      const places = [...verdict.from].map(([, position]) => formatPosition(position));
      return ['recovered', ...places].join(' ');
    }
    case 'gap':
      return `began with gap ${verdict.gap.reason}`;
  }
}
