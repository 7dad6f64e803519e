/** Tries: how often a line tried to come back; seen, but not read out at every try. */
import type { LineStatus } from './lines/line.ts';

/** `, try 3` while a line is reconnecting. */
export function Tries({ status }: { readonly status: LineStatus }) {
  if (status.state !== 'reconnecting') return null;
  return <span aria-hidden="true">try {status.tries}</span>;
}
