/** Puts an embedded broker together. */
import { EmbeddedBroker } from './broker.ts';
import { EMBEDDED_DEFAULTS } from './config.ts';
import type { EmbeddedOptions } from './config.ts';
import { MemoryStore } from './memory-store.ts';
import { SqliteStore } from './sqlite-store.ts';

/** Makes the broker of one node; with a directory what is durable outlives the process. */
export function createEmbeddedBroker(options: EmbeddedOptions): EmbeddedBroker {
  const { directory, clock, random, log, sync = 'full', ...given } = options;
  const limits = { ...EMBEDDED_DEFAULTS, ...given };
  const memory = new MemoryStore({ random, limits });
  if (directory === undefined) return new EmbeddedBroker({ memory, clock, log, limits });
  const durable = new SqliteStore({ directory, sync, limits, clock, log });
  return new EmbeddedBroker({ memory, durable, clock, log, limits });
}
