/**
 * Mark: a place in the order of everything a broker keeps, as text that clients hand back [CH-5].
 * It comes from strangers: what is not of the form is no mark.
 */

/** A place in the durable log and in the memory beside it. */
export interface Mark {
  /** Which log. */
  readonly id: string;
  /** Which opening of it; `memory` only means something within one. */
  readonly run: number;
  readonly sequence: number;
  readonly memory: number;
}

// Numbers have one way to be written, and are below 2^53.
const NUMBER = '(0|[1-9][0-9]{0,14})';
const FORM = new RegExp(`^~e\\.([0-9A-Za-z]{1,32})\\.${NUMBER}\\.${NUMBER}\\.${NUMBER}$`);

/** Writes a mark. */
export function formatMark(mark: Mark): string {
  return `~e.${mark.id}.${mark.run}.${mark.sequence}.${mark.memory}`;
}

/** Reads a mark; `undefined` when the text is none of this backplane's. */
export function parseMark(text: string): Mark | undefined {
  const match = FORM.exec(text);
  if (match === null) return undefined;
  const [, id = '', run, sequence, memory] = match;
  return { id, run: Number(run), sequence: Number(sequence), memory: Number(memory) };
}
