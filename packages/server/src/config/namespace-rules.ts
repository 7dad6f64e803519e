/** Namespace rules: what holds for the channels of one pattern. */
import { z } from 'zod';
import { ACTIONS } from '../auth/identity.ts';
import type { Action } from '../auth/identity.ts';
import { field, whole } from './field.ts';
import { schemaFault } from './json-schema.ts';
import type { JsonSchema } from './json-schema.ts';

/** What holds for one channel, every field decided. */
export interface NamespaceRules {
  /** How much of the stream is kept; what is over one of the bounds may go. */
  readonly history: {
    readonly countMax: number;
    readonly ageMsMax: number;
    readonly sizeMax: number;
  };
  /** False: the stream lives in memory only and is lost with the process. */
  readonly durable: boolean;
  /** True: messages have no offsets and are not logged; a slow reader gets the newest per slot. */
  readonly volatile: boolean;
  /** Whether subscribers are listed, and how long one may be away before that is told. */
  readonly presence: { readonly listed: boolean; readonly graceMs: number };
  /** What JSON payloads must satisfy: a JSON Schema; a publish that does not is `bad_request`. */
  readonly schema?: JsonSchema;
  /** Payload bytes of one message; over it the publish is refused with `too_large`. */
  readonly messageBytesMax: number;
  /** Messages one resume may carry; over it the answer is a gap with reason `limit`. */
  readonly resumeCountMax?: number;
  /** What may be done without a token that says so. */
  readonly allow: {
    readonly anonymous: readonly Action[];
    readonly user: readonly Action[];
  };
}

const actions = z.array(z.enum(ACTIONS));

/** The rules of one pattern; what is unset is decided by less specific patterns. */
export const namespaceRulesSchema = z.strictObject({
  history: z
    .strictObject({
      countMax: field(
        whole(0).exactOptional(),
        'Messages kept per channel; 0 keeps none, so that every resume that missed one is a gap.',
        { unit: 'messages' },
      ),
      ageMsMax: field(whole(0).exactOptional(), 'Age at which a message may go.', { unit: 'ms' }),
      sizeMax: field(whole(0).exactOptional(), 'Payload bytes kept per channel.', {
        unit: 'bytes',
      }),
    })
    .exactOptional(),
  durable: field(
    z.boolean().exactOptional(),
    'Whether an acknowledged message survives a crash of the server.',
  ),
  volatile: field(
    z.boolean().exactOptional(),
    'Nothing is logged; who is too slow gets the newest message of each slot alone.',
  ),
  presence: z
    .strictObject({
      listed: field(
        z.boolean().exactOptional(),
        'Whether subscribers are listed as present and their joins and leaves are told.',
      ),
      graceMs: field(
        whole(0).exactOptional(),
        'How long the last session of a user may be away before that is told as a leave.',
        { unit: 'ms' },
      ),
    })
    .exactOptional(),
  schema: field(
    z
      .union([z.boolean(), z.record(z.string(), z.unknown())])
      .superRefine((schema, context) => {
        const fault = schemaFault(schema);
        if (fault !== undefined) context.addIssue(fault);
      })
      .exactOptional(),
    'JSON Schema (2020-12) of payloads; a publish that does not satisfy it is bad_request.',
  ),
  messageBytesMax: field(
    whole(1).exactOptional(),
    'Payload bytes of one message; over it the publish is refused with too_large.',
    { unit: 'bytes' },
  ),
  resumeCountMax: field(
    whole(1).exactOptional(),
    'Messages one resume may carry; over it the answer is a gap with reason limit.',
    { unit: 'messages' },
  ),
  allow: z
    .strictObject({
      anonymous: field(
        actions.exactOptional(),
        'What a client without a token may do; in development mode everything unless set.',
      ),
      user: field(
        actions.exactOptional(),
        'What every client with a valid token may do, whatever the token grants.',
      ),
    })
    .exactOptional(),
});

/** Rules as written in a config file. */
export type NamespaceInput = z.input<typeof namespaceRulesSchema>;

/** The rules of a channel that no pattern mentions. */
export const DEFAULT_NAMESPACE: NamespaceRules = {
  history: { countMax: 1000, ageMsMax: 86_400_000, sizeMax: 67_108_864 },
  durable: true,
  volatile: false,
  presence: { listed: false, graceMs: 10_000 },
  messageBytesMax: 65_536,
  allow: { anonymous: [], user: [] },
};

/** The same where anonymous clients are let in: development mode, or `insecure` without auth. */
export const OPEN_NAMESPACE: NamespaceRules = {
  ...DEFAULT_NAMESPACE,
  presence: { ...DEFAULT_NAMESPACE.presence, listed: true },
  allow: { anonymous: ACTIONS, user: [] },
};
