/** Payload: what a PUBLISH carries, as every other transport tells it. */
import type { Message } from '@trunkline/client';
import type { Publish } from '@trunkline/server/mqtt-codec';
import { decodeUtf8, isJsonContentType, isJsonText, payloadKind } from '@trunkline/wire';

/** The members of a message that say what was published. [DEV-10] */
export function payloadOf({
  payload,
  properties,
}: Pick<Publish, 'payload' | 'properties'>): Pick<
  Message,
  'data' | 'source' | 'bytes' | 'contentType'
> {
  const { contentType } = properties;
  const isOther = contentType !== undefined && !isJsonContentType(contentType);
  if (!isOther && isJsonText(payload)) {
    const source = Buffer.from(payload).toString();
    return { data: JSON.parse(source) as unknown, source };
  }
  const text = decodeUtf8(payload);
  if (text === undefined || (isOther && payloadKind(contentType) === 'bytes')) {
    return {
      data: undefined,
      bytes: payload,
      contentType: isOther ? contentType : 'application/octet-stream',
    };
  }
  return { data: text, contentType: isOther ? contentType : 'text/plain; charset=utf-8' };
}
