import { expect, test } from 'vitest';
import { nextState } from '../../src/connection/connection-state.ts';
import type { ConnectionEvent, ConnectionState } from '../../src/connection/connection-state.ts';

const EVENTS: readonly ConnectionEvent[] = ['connect', 'opened', 'lost', 'refused', 'disconnect'];

// Every cell; a dash is an event that can't happen.
const TABLE: Readonly<Record<ConnectionState, readonly (ConnectionState | '-')[]>> = {
  disconnected: ['connecting', '-', '-', '-', '-'],
  connecting: ['-', 'connected', 'connecting', 'disconnected', 'disconnected'],
  connected: ['-', 'connected', 'connecting', 'disconnected', 'disconnected'],
};

for (const [state, row] of Object.entries(TABLE) as [ConnectionState, string[]][]) {
  for (const [index, event] of EVENTS.entries()) {
    test(`${state}, ${event}: ${row[index]}`, () => {
      expect(nextState(state, event) ?? '-').toBe(row[index]);
    });
  }
}
