/** Who may open a WebSocket, and which protocol speaks on it: `/v1/ws` and `/v1/echo`. */
import { CodedError, JSON_SUBPROTOCOL } from '@trunkline/wire';
import type { RequestHead } from '../http/request.ts';
import type { Link, LinkHandler } from '../link/link.ts';
import type { NativeProtocol } from '../protocols/native/protocol.ts';
import type { Admission, Admit } from '../transports/transport.ts';
import { admit, refused } from './gate.ts';
import type { GateParts } from './gate.ts';

/** What speaks on an admitted link. */
export interface WebSocketProtocols {
  readonly native: NativeProtocol;
  /** Set where `/v1/echo` is served. */
  readonly echo?: (link: Link) => LinkHandler;
}

/** Makes the decision for the WebSocket transport. */
export function admitWebSocket(gate: GateParts, protocols: WebSocketProtocols): Admit {
  const { native, echo } = protocols;
  return (head) => {
    if (head.path === '/v1/ws') {
      const subprotocol = chooseSubprotocol(head);
      return admit(gate, head, (identity) => ({
        kind: 'welcome',
        ...subprotocol,
        open: (link) => native.open(link, identity),
      }));
    }
    if (head.path === '/v1/echo' && echo !== undefined) {
      return admit(gate, head, () => ({ kind: 'welcome', open: echo }));
    }
    return nothingThere(head);
  };
}

/**
 * The native protocol if it was offered. A client that offers only others gets none chosen, as RFC
 * 6455 §4.2.2 has it, and its browser then fails the connection.
 */
function chooseSubprotocol(head: RequestHead): { readonly subprotocol?: string } {
  const offered = head.headers['sec-websocket-protocol'];
  const tokens = offered?.split(',').map((token) => token.trim()) ?? [];
  return tokens.includes(JSON_SUBPROTOCOL) ? { subprotocol: JSON_SUBPROTOCOL } : {};
}

function nothingThere(head: RequestHead): Admission {
  return refused(new CodedError('not_found', `no WebSocket is served at ${head.path}`), false);
}
