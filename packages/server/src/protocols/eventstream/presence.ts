/** Presence over an event stream: `join`, `leave` and `presence`, none of which moves the id. */
import type { PresenceEncoding, PresenceEvent } from '../../hub/presence/presence-types.ts';

/** A batch is one event each, without `id:`, so that a resume knows nothing of them [PRES-10]. */
export const eventStreamPresence: PresenceEncoding = {
  name: 'eventstream',
  text: true,
  encode(channel, events) {
    return Buffer.from(events.map((event) => presenceEvent(channel, event)).join(''), 'utf8');
  },
};

/** One event that tells a watcher something. */
export function presenceEvent(channel: string, event: PresenceEvent): string {
  const [name, data] =
    event.kind === 'snapshot'
      ? ['presence', { channel, ...event.page }]
      : [event.kind, { channel, member: event.member }];
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
