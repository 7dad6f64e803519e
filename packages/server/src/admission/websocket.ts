/** Who may open a WebSocket, and which protocol speaks on it: `/v1/ws` and `/v1/echo`. */
import { CodedError } from '@trunkline/wire';
import type { Identity } from '../auth/identity.ts';
import type { RequestHead } from '../http/request.ts';
import type { Link, LinkHandler } from '../link/link.ts';
import { CODECS } from '../protocols/native/codec.ts';
import type { NativeProtocol } from '../protocols/native/protocol.ts';
import type { Admission, Admit } from '../transports/transport.ts';
import { admit, refused } from './gate.ts';
import type { GateParts } from './gate.ts';
import { MQTT_NAME } from './mqtt.ts';
import type { MqttOpener } from './mqtt.ts';

/** What speaks on an admitted link. */
export interface WebSocketProtocols {
  readonly native: NativeProtocol;
  readonly mqtt?: MqttOpener;
  /** Set where `/v1/echo` is served. */
  readonly echo?: (link: Link) => LinkHandler;
}

/** Makes the decision for the WebSocket transport. */
export function admitWebSocket(gate: GateParts, protocols: WebSocketProtocols): Admit {
  const { native, mqtt, echo } = protocols;
  return (head) => {
    if (head.path === '/v1/ws') {
      const subprotocol = chooseSubprotocol(head, mqtt !== undefined);
      return admit(gate, head, (identity) => {
        if (mqtt !== undefined && subprotocol === MQTT_NAME) return welcomeMqtt(mqtt, identity);
        return {
          kind: 'welcome',
          ...(subprotocol === undefined ? {} : { subprotocol }),
          open: (link) => native.open(link, identity, CODECS.get(subprotocol ?? '')),
        };
      });
    }
    if (head.path === '/v1/echo' && echo !== undefined) {
      return admit(gate, head, () => ({ kind: 'welcome', open: echo }));
    }
    return nothingThere(head);
  };
}

/**
 * The first that is known of those offered, which stand in the client's order of preference (RFC 6455
 * §4.1). A client that offers only others gets none chosen, as §4.2.2 has it, and its browser then
 * fails the connection.
 */
function chooseSubprotocol(head: RequestHead, servesMqtt: boolean): string | undefined {
  const offered = head.headers['sec-websocket-protocol'];
  const tokens = offered?.split(',').map((token) => token.trim()) ?? [];
  return tokens.find((token) => CODECS.has(token) || (servesMqtt && token === MQTT_NAME));
}

/** Whom the handshake let in as a stranger may say in CONNECT who it is [DEV-5]. */
function welcomeMqtt(mqtt: MqttOpener, identity: Identity | undefined): Admission {
  const opening = identity === undefined || identity.kind === 'anonymous' ? {} : { identity };
  return {
    kind: 'welcome',
    subprotocol: MQTT_NAME,
    binaryOnly: true, // [MQTT-6.0.0-1]
    open: (link) => mqtt.open(link, opening),
  };
}

function nothingThere(head: RequestHead): Admission {
  const message = `no WebSocket is served at ${head.path}; /v1/ws is where one is, MQTT included`;
  return refused(new CodedError('not_found', message), false);
}
