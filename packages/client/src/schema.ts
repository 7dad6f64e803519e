/**
 * Schema: payloads checked and typed by a validator of the application, whichever it uses: the part
 * of the Standard Schema (standardschema.dev, version 1) that zod, valibot and others share.
 */
import type { ReceivedMessage } from './events.ts';
import type { Features } from './features.ts';
import type { HistoryMessage } from './reading/history.ts';

/** A validator: of what is published as `Input` it makes an `Output`. */
export interface Schema<Output, Input = Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>;
    /** Types alone: at run time there is nothing. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type Result<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly { readonly message: string }[] };

/** A message's payload is not what the channel's schema says. */
export class InvalidError extends Error {
  override readonly name = 'InvalidError';
  /** The message as it came. */
  readonly received: ReceivedMessage;

  constructor(received: ReceivedMessage, issues: readonly { readonly message: string }[]) {
    const { channel, epoch, offset } = received;
    const place = epoch === undefined ? '' : ` at ${epoch}:${offset}`;
    super(`${channel}${place}: ${issues.map(({ message }) => message).join(', ')}`);
    this.received = received;
  }
}

/**
 * The message with its payload as the schema has it; a promise where the validator needs time.
 *
 * @throws {InvalidError}
 */
export function validate<T>(
  schema: Schema<T, unknown> | undefined,
  message: ReceivedMessage,
): HistoryMessage<T> | Promise<HistoryMessage<T>> {
  if (schema === undefined) return message as HistoryMessage<T>;
  const result = schema['~standard'].validate(message.data);
  if (result instanceof Promise) return result.then((one) => withData(message, one));
  return withData(message, result);
}

function withData<T>(message: ReceivedMessage, result: Result<T>): HistoryMessage<T> {
  if (result.issues !== undefined) throw new InvalidError(message, result.issues);
  return { ...message, data: result.value };
}

/** The feature: the `schema` of a channel. */
export const schemas: NonNullable<Features['schemas']> = validate;
