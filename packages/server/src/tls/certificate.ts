/** Certificate: what the server shows of itself, wherever it comes from and however it changes. */
import type { SecureContext } from 'node:tls';

/** A certificate that may be replaced while the server runs. */
export interface Certificate {
  /** What a handshake that begins now is answered with. @throws before `open` resolved. */
  readonly context: SecureContext;
  /** SHA-256 of what is served now, in lower-case hex. */
  readonly sha256: string;
  /**
   * Its context at this moment, for handshakes that hold clients' certificates against these
   * authorities, in PEM. @throws before `open` resolved.
   */
  contextFor(authorities: readonly string[]): SecureContext;
  /** Gets it, and from now on sees to its renewal. @throws {ConfigError} when there is none. */
  open(): Promise<void>;
  /** Renews it no more. Idempotent. */
  close(): void;
}
