/**
 * Connection state: the whole machine as a table. Pure; what it decides is carried out by the
 * connection.
 */

/** `connecting` covers dialing, authenticating and waiting to try again. */
export type ConnectionState = 'disconnected' | 'connecting' | 'connected';

/**
 * - `connect`: the application wants a connection.
 * - `opened`: the server answered that messages flow; once more when another transport took over.
 * - `lost`: it ended and may come back.
 * - `refused`: it ended and the code says that the same input would be refused again.
 * - `disconnect`: the application is done.
 */
export type ConnectionEvent = 'connect' | 'opened' | 'lost' | 'refused' | 'disconnect';

type Transitions = Readonly<Partial<Record<ConnectionEvent, ConnectionState>>>;

/** A missing entry is an event that can't happen in that state. */
const NEXT: Readonly<Record<ConnectionState, Transitions>> = {
  disconnected: { connect: 'connecting' },
  connecting: {
    opened: 'connected',
    lost: 'connecting',
    refused: 'disconnected',
    disconnect: 'disconnected',
  },
  connected: {
    opened: 'connected',
    lost: 'connecting',
    refused: 'disconnected',
    disconnect: 'disconnected',
  },
};

/** The state after `event`, or `undefined` when it can't happen in `state`. */
export function nextState(
  state: ConnectionState,
  event: ConnectionEvent,
): ConnectionState | undefined {
  return NEXT[state][event];
}
