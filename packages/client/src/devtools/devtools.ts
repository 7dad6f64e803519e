/**
 * @trunkline/client/devtools: an overlay for developers that shows what a line does. Nothing of it
 * is in the bundle of an application that does not import it.
 */
import type { Line } from '../line.ts';
import { platformOf, systemUnixMs } from '../platform.ts';
import type { Clock, Timer } from '../platform.ts';
import { Monitor } from './monitor.ts';
import type { LineView } from './monitor.ts';
import { Panel } from './panel.ts';

export type { ChannelView, Happening, LineView } from './monitor.ts';

/** How often it draws, open and closed, */
const OPEN_MS = 500;
const CLOSED_MS = 1000;
/** and how soon after a change, so that what comes with it is there. */
const CHANGED_MS = 50;

/** How the overlay is shown. */
export interface DevtoolsOptions {
  /** What it is put into; the page's body when absent. It stays at the bottom right of the window. */
  readonly parent?: Node;
  /** True to begin open. */
  readonly open?: boolean;
  readonly clock?: Clock;
  /** Unix milliseconds, which may jump; `Date.now` when absent. */
  readonly unixMs?: () => number;
}

/** A shown overlay. */
export interface Devtools {
  /** What it shows, as plain data. */
  read(): LineView;
  /** Takes it away. Idempotent. */
  detach(): void;
}

/** Shows what this line does, until it is detached. It sees what happens from now on. */
export function attachDevtools(line: Line, options: DevtoolsOptions = {}): Devtools {
  const { clock } = platformOf(options.clock === undefined ? {} : { clock: options.clock });
  const { parent = document.body, unixMs = systemUnixMs } = options;
  const monitor = new Monitor(line, { clock, unixMs });
  let timer: Timer | undefined;
  let hasEnded = false;
  const draw = (): void => {
    timer?.cancel();
    if (hasEnded) return;
    panel.draw(monitor.read());
    timer = clock.after(panel.isOpen ? OPEN_MS : CLOSED_MS, draw);
  };
  const panel = new Panel(parent, draw);
  const unlisten = line.on('state', () => {
    timer?.cancel();
    timer = clock.after(CHANGED_MS, draw);
  });
  panel.toggle(options.open === true);
  return {
    read: () => monitor.read(),
    detach() {
      hasEnded = true;
      timer?.cancel();
      unlisten();
      monitor.end();
      panel.remove();
    },
  };
}
