/** Event streams of several channels and patterns, as a browser has them. */
import { parseAfter, parsePosition } from '@trunkline/wire';
import type { Gap } from '@trunkline/wire';
import type { Start } from '@trunkline/server/internal/hub/hub-types.ts';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import type { AskedStart, FollowVerdict } from '../follow-history.ts';
import { MemoryConnection } from '../memory-connection.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { Connection, FollowingParts } from './connection.ts';
import { EventParser } from './event-parser.ts';
import type { ParsedEvent } from './event-parser.ts';
import { SessionRecord } from './follower.ts';
import type { Asked, Follower } from './follower.ts';
import { isObject } from './json.ts';
import { payloadId } from './publication.ts';
import { positionOf } from './session-connection.ts';

/** One stream for each follower of a device; it can't publish. */
export class FollowingStreams implements Connection {
  readonly transport = 'sse';
  readonly #streams: readonly FollowingStream[];
  /** Half of the devices speak HTTP/2. */
  readonly shared: MemoryConnection | undefined;
  #isOpen = true;

  constructor(parts: FollowingParts) {
    this.shared = parts.random.chance(0.5) ? new MemoryConnection() : undefined;
    this.#streams = parts.followers.map((follower) => {
      return new FollowingStream(parts, follower, this.shared, () => this.end(true));
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get links(): readonly MemoryLink[] {
    return this.#streams.map((stream) => stream.link);
  }

  /** One stream that ends takes the others with it: the device makes all of them anew. */
  end(politely: boolean): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (!politely) this.shared?.drop();
    for (const stream of this.#streams) stream.end(politely);
  }
}

class FollowingStream implements MemoryPeer {
  readonly link: MemoryLink;
  readonly #follower: Follower;
  readonly #record: SessionRecord;
  readonly #asked: Asked;
  readonly #parser = new EventParser();
  readonly #onEnd: () => void;
  /** The channel, where there is one alone: then ids are positions. */
  readonly #only: string | undefined;
  /** Unsent bytes above which messages of volatile channels may pass it by. */
  readonly #room: number;
  #isFollowing = false;
  #isOpen = true;

  constructor(
    parts: FollowingParts,
    follower: Follower,
    shared: MemoryConnection | undefined,
    onEnd: () => void,
  ) {
    const { server, random, identity, channels } = parts;
    this.#room = server.volatileRoom;
    this.#follower = follower;
    this.#onEnd = onEnd;
    this.#record = new SessionRecord(parts, 'sse');
    const [first = ''] = follower.filters;
    this.#only = follower.filters.length === 1 && channels.includes(first) ? first : undefined;
    const asked = new Map<string, AskedStart>();
    const starts = new Map<string, Start>();
    // A request says it once for all.
    const partial = random.chance(0.5) ? ({ partial: true } as const) : {};
    for (const filter of follower.filters) {
      const { after, last } = follower.placeOf(filter, random);
      const counted = last === undefined ? {} : { last };
      asked.set(filter, { ...(after === undefined ? {} : { after }), ...counted });
      starts.set(filter, {
        ...(after === undefined ? {} : { after: parseAfter(after) }),
        ...counted,
        ...partial,
      });
    }
    this.#asked = this.#record.ask(follower, asked, false);
    this.link = server.openStream(this, identity, starts, shared);
  }

  end(politely: boolean): void {
    if (politely) this.link.leave();
    else this.link.drop();
    this.onClose();
  }

  onFrame(frame: Frame, sentMs: number): void {
    if (!this.#isOpen || typeof frame !== 'string') return;
    for (const event of this.#parser.parse(frame)) this.#onEvent(event, sentMs);
  }

  onPending(bytes: number): void {
    if (this.#isOpen && bytes > this.#room) this.#record.slow();
  }

  onClose(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#record.ended();
    this.#onEnd();
  }

  #onEvent(event: ParsedEvent, sentMs: number): void {
    if (event.isDispatched) this.#onDispatched(event, sentMs);
    if (event.hasId && event.id !== undefined && this.#isFollowing) {
      this.#onId(event.id, event.isDispatched, sentMs);
    }
  }

  #onDispatched({ id = '', event, data }: ParsedEvent, sentMs: number): void {
    const value: unknown = JSON.parse(data);
    if (event === 'open') {
      this.#isFollowing = true;
      this.#record.following(this.#asked, verdictsOf(value, this.#follower.filters));
    } else if (event === 'gap') {
      const { channel, gap, position } = value as { channel: string; gap: Gap; position: string };
      this.#record.lost(channel, gap, positionOf(position));
    } else if (event !== 'close') {
      const message = this.#messageOf(value, id);
      if (message.epoch === undefined) {
        this.#record.passing(message.channel, payloadId(dataOf(value)));
        return;
      }
      const { channel, epoch, offset, time } = message;
      const payload = payloadId(this.#only === undefined ? dataOf(value) : value);
      const given = { channel, epoch, offset, payload, isOwn: false, sentMs };
      this.#record.given({ ...given, storedMs: time });
    }
  }

  /** Without a time of its own a message is never late. */
  #messageOf(value: unknown, id: string) {
    if (this.#only === undefined) {
      return value as { channel: string; epoch?: string; offset: number; time: number };
    }
    const { epoch, offset } = positionOf(id);
    return { channel: this.#only, epoch, offset, time: Number.POSITIVE_INFINITY };
  }

  /** What a browser would hand back from here on. */
  #onId(id: string, isDispatched: boolean, sentMs: number): void {
    const position = parsePosition(id);
    const { filters } = this.#follower;
    if (position === undefined) this.#record.marked(this.#asked, id);
    else if (!isDispatched && this.#only !== undefined) {
      const { epoch, offset } = position;
      // Without an event it says that what is up to here is over.
      const told = { channel: this.#only, epoch, from: offset, to: offset };
      this.#record.lapsed({ ...told, sentMs });
    }
    for (const filter of filters) this.#follower.stand(filter, id);
  }
}

function dataOf(value: unknown): unknown {
  return isObject(value) ? value['data'] : undefined;
}

function verdictsOf(value: unknown, filters: readonly string[]): Map<string, FollowVerdict> {
  const told = isObject(value) ? value : {};
  const of = (member: string, filter: string): unknown => {
    const all = told[member];
    return isObject(all) ? all[filter] : undefined;
  };
  return new Map(
    filters.map((filter) => {
      const position = of('positions', filter);
      const recovered = of('recovered', filter);
      const gap = of('gaps', filter);
      return [
        filter,
        {
          ...(typeof position === 'string' ? { position: positionOf(position) } : {}),
          ...(typeof recovered === 'boolean' ? { recovered } : {}),
          ...(gap === undefined ? {} : { gap: gap as Gap }),
        },
      ];
    }),
  );
}
