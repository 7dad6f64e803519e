/** Weight: about how much memory a message takes, so that what waits for a tab can be bounded. */
import type { ReceivedMessage, SnapshotEvent } from '../events.ts';

/** What an object, an array or a number costs beside what is in it. */
const VALUE_BYTES = 16;

/** About so many bytes; walks the payload, so ask once for each message. */
export function weightOf({ data, source, bytes }: ReceivedMessage | SnapshotEvent): number {
  return VALUE_BYTES + (source?.length ?? 0) + (bytes?.byteLength ?? 0) + weightOfValue(data);
}

function weightOfValue(root: unknown): number {
  let weight = 0;
  const left: unknown[] = [root];
  // No recursion: payloads may be nested deeper than the stack is.
  while (left.length > 0) {
    const value = left.pop();
    weight += VALUE_BYTES;
    if (typeof value === 'string') weight += value.length;
    else if (Array.isArray(value)) for (const one of value as unknown[]) left.push(one);
    else if (typeof value === 'object' && value !== null) {
      for (const [name, one] of Object.entries(value)) {
        weight += name.length;
        left.push(one);
      }
    }
  }
  return weight;
}
