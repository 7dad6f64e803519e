/** Published: what the server answers to a publish, or that nobody can say what became of it. */
import { CodedError } from '@trunkline/wire';
import type { Frame } from '../encodings/encoding.ts';
import type { Ask } from '../transports/transport.ts';
import { withKey } from './outgoing.ts';
import type { PublishOptions } from './outgoing.ts';

/** It is in the log; or it was sent to who listens, where the channel is volatile. */
export interface Published {
  readonly channel: string;
  readonly offset?: number;
  readonly epoch?: string;
  readonly position?: string;
  /** Nothing is stored and no key is remembered: after a loss it may be delivered twice. [VOL-1] */
  readonly volatile?: true;
}

/** A publish was sent, and sending it again would not tell whether it was stored. */
export class UncertainError extends Error {
  override readonly name = 'UncertainError';
  readonly code = 'uncertain';

  constructor(channel: string, cause?: unknown) {
    super(
      `a publish to ${channel} may be stored or not: look into the history before you repeat it`,
      { cause },
    );
  }
}

/** @throws {CodedError} when the answer is none, as of a gateway that knows nothing of publishing. */
export function toPublished(channel: string, fields: Readonly<Record<string, unknown>>): Published {
  const { offset, epoch, position, volatile } = fields as Partial<Published>;
  if (volatile === true) return { channel, volatile };
  if (typeof offset !== 'number' || typeof epoch !== 'string' || typeof position !== 'string') {
    throw new CodedError('internal', 'expected a position, got none', { stored: 'unknown' });
  }
  return { channel, offset, epoch, position };
}

/**
 * Publishes without an outbox: once, when the server can be asked.
 *
 * @throws {CodedError} when it was refused or its answer is lost, with `stored`.
 * @throws the signal's reason, when it is given up already.
 */
export async function publishOnce(
  request: (ask: Ask) => Promise<Frame>,
  channel: string,
  members: string,
  { key, signal }: Pick<PublishOptions, 'key' | 'signal'>,
): Promise<Published> {
  signal?.throwIfAborted();
  const { fields } = await request({ kind: 'publish', members: withKey(members, key) });
  return toPublished(channel, fields);
}
