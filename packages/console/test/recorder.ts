/** Recorder: writes down, in order, what a line tells. */
import { formatPosition } from '@trunkline/wire';
import type { LineMessage, LineOptions, LineStatus, Verdict } from '../src/lines/line.ts';
import { ManualPace } from './manual-pace.ts';

export class Recorder {
  readonly pace = new ManualPace();
  readonly told: string[] = [];
  #waiting: (() => void)[] = [];

  /** Options for a line that is written down. */
  options(rest: Partial<LineOptions> = {}): LineOptions {
    return {
      server: 'http://127.0.0.1:1',
      channel: 'room/42',
      pace: this.pace,
      onMessage: (message) => this.#tell(this.#messageText(message)),
      onVerdict: (verdict) => this.#tell(verdictText(verdict)),
      onState: (status) => this.#tell(stateText(status)),
      ...rest,
    };
  }

  /** Resolves once a line has told this; at once when it already has. */
  async until(text: string): Promise<void> {
    while (!this.told.includes(text)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #tell(text: string): void {
    this.told.push(text);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #messageText({ position, event, payload, kind }: LineMessage): string {
    const name = event === undefined ? '' : ` ${event}`;
    return `${kind}${name} ${formatPosition(position)} ${payload}`;
  }
}

function verdictText(verdict: Verdict): string {
  const place = verdict.kind === 'recovered' ? verdict.from : verdict.at;
  const at = place === undefined ? 'nowhere' : formatPosition(place);
  return verdict.kind === 'gap' ? `gap ${verdict.gap.reason} ${at}` : `${verdict.kind} ${at}`;
}

function stateText({ state, reason }: LineStatus): string {
  return reason === undefined ? state : `${state}: ${reason}`;
}
