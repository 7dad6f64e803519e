/** Messages for tests of the hub. */
import type { Message } from '@trunkline/wire';

/** A message whose payload is its own offset. */
export function message(offset: number, time = 1000): Message {
  return { offset, time, payload: new TextEncoder().encode(String(offset)) };
}

/** Messages `first` to `last`, inclusive. */
export function messages(first: number, last: number): Message[] {
  return Array.from({ length: last - first + 1 }, (_, index) => message(first + index));
}
