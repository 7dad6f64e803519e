/** Event stream: the parser, for those who read streams by themselves. */
export { EVENT_LENGTH_MAX, EventStreamParser } from './transports/event-stream.ts';
export type { StreamItem } from './transports/event-stream.ts';
