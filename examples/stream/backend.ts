/** A model that knows one answer. It says it into a channel, whoever reads there. */
import { randomUUID } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import type { Backend } from '../run.ts';

export const ANSWER = `\n\nNothing is lost. Each token of this answer is a message in a channel, \
and the channel is a log: its messages have offsets, one after the other.

Your page keeps what it shows together with the position of the last token. Reload it now, in \
mid-answer: it asks for what comes after that position. What I said while you were away comes at \
once, and the rest as I say it. No token is missing, and none comes twice.`;

const backend: Backend = (line) => async (request, response) => {
  const channel = line.channel(`answer/${randomUUID().slice(0, 8)}`);
  const tokens = ANSWER.match(/\s*\S+/g) ?? [];
  await channel.publish(await text(request));
  response.end(channel.name);
  for (const token of tokens) {
    await channel.publish(token);
    await setTimeout(40);
  }
  await channel.publish('', { event: 'done' });
};
export default backend;
