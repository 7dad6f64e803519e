/** What transports ask before a request, or a bare connection, becomes a link. */
import type { TLSSocket } from 'node:tls';
import type { RequestHead } from '../http/request.ts';
import type { Close, Link, LinkHandler } from '../link/link.ts';

/**
 * Decides who may open a link and who speaks on it. At most one promise a link: where the answer
 * is known at once, it is given at once.
 */
export type Admit = (head: RequestHead) => Admission | Promise<Admission>;

/** The other end of a connection that is no request: all that is known before it has said anything. */
export interface Peer {
  readonly remoteAddress: string;
  /** Set where TLS protects the connection; it knows the peer's certificate, if there is one. */
  readonly secured?: TLSSocket;
}

/**
 * Decides the same for a bare connection, at once. Nothing can be said to who is refused, before it
 * is known what the peer speaks: its connection is closed, and `message` is for the log.
 */
export type AdmitPeer = (peer: Peer) => Admission;

/** The decision. */
export type Admission =
  | {
      readonly kind: 'welcome';
      /** The subprotocol chosen from those the client offered, where there are any. */
      readonly subprotocol?: string;
      /** Called once, when the link is open. */
      open(link: Link): LinkHandler;
      /** True where only bytes are spoken: a text frame of a WebSocket closes it with 1003. */
      readonly binaryOnly?: boolean;
      /** Headers the transport adds to its answer, e.g. CORS. */
      readonly headers?: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'refused';
      readonly close: Close;
      /** What was wrong, in a sentence for the developer at the other end. */
      readonly message: string;
      /**
       * True when the peer is a browser of an allowed origin, which sees nothing of a refused
       * handshake: it is let in and then told [WS-2], [SSE-8].
       */
      readonly tellInside: boolean;
      readonly headers?: Readonly<Record<string, string>>;
    };

/** Hears nothing: for links that are only there to be closed. */
export const SILENT: LinkHandler = { onFrame() {}, onDrain() {}, onClose() {} };
