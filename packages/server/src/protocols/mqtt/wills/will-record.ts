/**
 * WillRecord: a will as it is stored, as JSON: the message as it will be published, whose it is, and
 * what that one might do when it left it.
 */
import { decodeBase64, encodeBase64 } from '@trunkline/wire';
import type { Action, Identity } from '../../../auth/identity.ts';
import type { PublishRequest } from '../../../hub/hub-types.ts';

/** A will as it is stored. */
export interface WillRecord {
  /** The run of the server that stored it: a later one knows by it that the client is gone. */
  readonly life: string;
  /** The key of the client's session. */
  readonly session: string;
  readonly channel: string;
  /** The client's rights as they were. */
  readonly identity: Identity;
  readonly request: PublishRequest;
  /** How long it waits from the end of the connection on. */
  readonly delayMs: number;
  /** Unix milliseconds at which it is published; absent while the client is connected. */
  readonly dueAt?: number;
}

/** How it stands in JSON: bytes as base64, grants as pairs. */
interface Stored extends Omit<WillRecord, 'identity' | 'request'> {
  readonly format: number;
  readonly identity: Omit<Identity, 'grants' | 'info' | 'expiresAt'> & {
    readonly grants: readonly (readonly [pattern: string, actions: readonly Action[]])[];
  };
  readonly request: Omit<PublishRequest, 'payload' | 'attributes'> & {
    readonly payload: string;
    readonly attributes?: string;
  };
}

/** Of a record with another number nothing is known. */
const FORMAT = 1;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Writes a record. */
export function encodeWill({ identity, request, ...will }: WillRecord): Uint8Array {
  const { kind, user, grants } = identity;
  const { payload, attributes, ...content } = request;
  const stored: Stored = {
    format: FORMAT,
    ...will,
    identity: {
      kind,
      ...(user === undefined ? {} : { user }),
      grants: [...grants].map(([pattern, actions]) => [pattern, [...actions]]),
    },
    request: {
      ...content,
      payload: encodeBase64(payload),
      ...(attributes === undefined ? {} : { attributes: encodeBase64(attributes) }),
    },
  };
  return encoder.encode(JSON.stringify(stored));
}

/** Reads a record; `undefined` when it was written by another version of the server. */
export function decodeWill(value: Uint8Array): WillRecord | undefined {
  try {
    const { format, identity, request, ...will } = JSON.parse(decoder.decode(value)) as Stored;
    if (format !== FORMAT) return undefined;
    const { payload, attributes, ...content } = request;
    const grants = identity.grants.map(
      ([pattern, actions]) => [pattern, new Set(actions)] as const,
    );
    return {
      ...will,
      identity: { ...identity, grants: new Map(grants) },
      request: {
        ...content,
        payload: decodeBase64(payload) ?? NO_BYTES,
        ...(attributes === undefined ? {} : { attributes: decodeBase64(attributes) ?? NO_BYTES }),
      },
    };
  } catch {
    return undefined;
  }
}

const NO_BYTES = new Uint8Array(0);
