/** Who may open a link over TCP or TLS, on which MQTT is spoken. */
import type { TLSSocket } from 'node:tls';
import { CodedError } from '@trunkline/wire';
import type { Authenticator } from '../auth/authenticator.ts';
import type { Identity } from '../auth/identity.ts';
import { isLoopback } from '../config/access.ts';
import type { Link, LinkHandler } from '../link/link.ts';
import type { ClientCertificates } from '../tls/client-certificates.ts';
import type { AdmitPeer } from '../transports/transport.ts';
import { refused } from './gate.ts';

/** What MQTT is called where protocols have names: as a WebSocket subprotocol and in ALPN. */
export const MQTT_NAME = 'mqtt';

/** What is asked of the protocol itself. */
export interface MqttOpener {
  /**
   * Begins to speak on a link.
   *
   * @param opening says who the client is where the carrier knows; else CONNECT tells.
   */
  open(link: Link, opening: { readonly identity?: Identity }): LinkHandler;
}

/** What the decision needs. */
export interface MqttGateParts {
  readonly protocol: MqttOpener;
  readonly authenticator: Pick<Authenticator, 'fromCertificate'>;
  /** Set where clients over TLS are asked for certificates. */
  readonly certificates?: Pick<ClientCertificates, 'judge'>;
  /** True in development mode. */
  readonly development: boolean;
  /** Set while the node takes no new clients. */
  refusal(): CodedError | undefined;
}

/** Makes the decision for the transports over TCP and TLS. */
export function admitMqtt(parts: MqttGateParts): AdmitPeer {
  return ({ remoteAddress, secured }) => {
    const stopped = parts.refusal() ?? (parts.development ? stranger(remoteAddress) : undefined);
    if (stopped !== undefined) return refused(stopped, false);
    const shown = secured === undefined ? undefined : identify(secured, parts);
    if (shown instanceof CodedError) return refused(shown, false);
    const opening = shown === undefined ? {} : { identity: shown };
    return { kind: 'welcome', open: (link) => parts.protocol.open(link, opening) };
  };
}

/** In development mode everyone is welcome, so everyone must be on this machine [DEV-7]. */
function stranger(address: string): CodedError | undefined {
  if (isLoopback(address)) return undefined;
  const message = `development mode serves MQTT to this machine alone, got ${address}`;
  return new CodedError('forbidden', message);
}

/** Whom a certificate names; an error where it must name somebody and does not. */
function identify(
  secured: TLSSocket,
  { certificates, authenticator }: MqttGateParts,
): Identity | CodedError | undefined {
  const verdict = certificates?.judge(secured);
  if (verdict?.kind === 'refused') return new CodedError('unauthenticated', verdict.reason);
  if (verdict?.kind !== 'verified') return undefined;
  const found = authenticator.fromCertificate(verdict.certificate);
  if (found.kind === 'refused') return found.error;
  return found.kind === 'identity' ? found.identity : undefined;
}
