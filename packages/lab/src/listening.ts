/** Listening: how many listen to a channel, so that a test can wait until they do. */
import { ask } from './http.ts';
import type { LabServer } from './server.ts';
import { API_KEY } from './tokens.ts';

/** Looks at the list of channels before a test gives up. */
const LOOKS_MAX = 5_000;

/** Configuration of a server in development mode that tells who listens. */
export const OPEN_AND_LISTED = { dev: true, auth: { apiKeys: [API_KEY] } };

/**
 * Resolves when at least so many listen to the channel, or nobody any more. The server must know
 * {@link API_KEY}.
 */
export async function listening(
  server: LabServer,
  channel: string,
  count: number | 'nobody' = 1,
): Promise<void> {
  const headers = { authorization: `Bearer ${API_KEY}` };
  const url = `${server.url}/v1/channels?${new URLSearchParams({ match: channel }).toString()}`;
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const answer = await ask(url, { headers });
    if (answer.status !== 200) throw new Error(`expected 200, got ${answer.text}`);
    const [listed] = answer.json<{ channels: { subscribers: number }[] }>().channels;
    const found = listed?.subscribers ?? 0;
    if (count === 'nobody' ? found === 0 : found >= count) return;
  }
  throw new Error(`expected ${count} to listen to ${channel}`);
}
