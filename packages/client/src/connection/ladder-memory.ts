/** Ladder memory: a ladder that remembers beyond the page what fails here, where pages may do so. */
import type { Features } from '../features.ts';
import { Ladder } from './ladder.ts';
import type { LadderMemory } from './ladder.ts';

/** The feature: what works here is learnt, remembered, and looked for again. */
export const ladder: NonNullable<Features['ladder']> = (transports, parts) => {
  const { address, memory = storageOf(address), unixMs } = parts;
  return new Ladder(transports, {
    platform: parts,
    unixMs,
    ...(memory !== undefined && { memory }),
  });
};

/** What a browser keeps beyond the page, where it lets this page do so. */
function storageOf(address: string): LadderMemory | undefined {
  // Elsewhere there is none, and Node warns of the question.
  if (!('document' in globalThis)) return undefined;
  const name = `trunkline ${address}`;
  try {
    const { localStorage } = globalThis;
    return {
      read: () => localStorage.getItem(name),
      write: (text) => localStorage.setItem(name, text),
    };
  } catch {
    return undefined;
  }
}
