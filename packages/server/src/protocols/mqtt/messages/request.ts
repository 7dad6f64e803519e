/** Request: what a client publishes, as the hub is asked to publish it. */
import { TEXT_LIMITS, TTL_MAX } from '@trunkline/wire';
import type { Sender } from '@trunkline/wire';
import type { PublishRequest } from '../../../hub/hub-types.ts';
import type { Publish, Will } from '../codec/packets.ts';
import { encodeAttributes } from './attributes.ts';
import { contentTypeFor } from './payload.ts';

/** The property with which a publisher says that two messages are the same one (promise 6). */
const KEY_PROPERTY = 'key';

/**
 * The request for a PUBLISH, or for a will when its time has come.
 *
 * @param from whose message it is.
 */
export function toRequest(
  publish: Pick<Publish | Will, 'payload' | 'qos' | 'retain' | 'properties'>,
  from: Sender,
): PublishRequest {
  const { payload, properties, retain } = publish;
  const { messageExpiryInterval, userProperties } = properties;
  // The packet is a view of a chunk that would be kept alive.
  const own = Uint8Array.prototype.slice.call(payload);
  const contentType = contentTypeFor(own, properties.contentType);
  const key = userProperties?.find(([name]) => name === KEY_PROPERTY)?.[1];
  // A second of it is more than no time at all, and nobody waits for a year.
  const ttl = Math.min(TTL_MAX, Math.max(1, (messageExpiryInterval ?? 0) * 1000));
  return {
    payload: own,
    from,
    attributes: encodeAttributes(publish),
    ...(contentType === undefined ? {} : { contentType }),
    ...(messageExpiryInterval === undefined ? {} : { ttl }),
    // A name that others use for something else: what is no key does not count as one.
    ...(key === undefined || key === '' || key.length > TEXT_LIMITS.key ? {} : { key }),
    ...(retain ? { retain } : {}),
  };
}
