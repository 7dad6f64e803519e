/** Takes files, tells everybody how far it is, and keeps nothing. */
import { setTimeout } from 'node:timers/promises';
import type { Backend } from '../run.ts';

/** As over a slow network, so that there is something to see. */
const BYTES_PER_SECOND = 2_000_000;

const backend: Backend = (line) => async (request, response) => {
  const { searchParams } = new URL(request.url ?? '', 'http://localhost');
  const { id, name, size } = Object.fromEntries(searchParams);
  const state = { id, name, size: Number(size), received: 0 };
  for await (const chunk of request as AsyncIterable<Buffer>) {
    state.received += chunk.length;
    await setTimeout((chunk.length / BYTES_PER_SECOND) * 1000);
    // The upload does not wait for it: while Trunkline is away, what it is told waits.
    line.publish('uploads', state).catch((error: unknown) => console.error(error));
  }
  await line.publish('uploads', state);
  response.end();
};
export default backend;
