import type { GapEvent } from '../events.ts';

/** Messages of a channel were lost, and whoever reads it did not say what to do then. */
export class GapError extends Error {
  override readonly name = 'GapError';
  /** What was lost, and where one may go on. */
  readonly event: GapEvent;

  constructor(event: GapEvent) {
    const { channel, gap, position } = event;
    super(`messages of ${channel} were lost (${gap.reason}); it goes on after ${position}`);
    this.event = event;
  }
}
