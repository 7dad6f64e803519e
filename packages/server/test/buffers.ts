/** Buffers: what payloads take in memory, for tests of what is kept too long. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Bytes of buffers that are in use, once all that can be collected is. */
export function bufferBytes(): number {
  collect();
  collect(); // Buffers are freed beside the collection that finds them; the next one waits for it.
  return process.memoryUsage().arrayBuffers;
}
