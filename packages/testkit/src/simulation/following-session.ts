/** A WebSocket that follows channels and patterns, as its client has it: several subscriptions. */
import { isWildcard, parsePosition } from '@trunkline/wire';
import type { Command, Member } from '@trunkline/wire';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import { binaryCodec, jsonCodec } from '@trunkline/server/internal/protocols/native/codec.ts';
import { isFor } from '../checks/session-state.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { Connection, FollowingParts } from './connection.ts';
import { SessionRecord } from './follower.ts';
import type { Asked, Follower } from './follower.ts';
import type { Attempt, Publication } from './publication.ts';
import { readFrames, writeCommand } from './server-frames.ts';
import type { ReadFrame, ReadMessage } from './server-frames.ts';
import { positionOf } from './session-connection.ts';

const encoder = new TextEncoder();

type FrameOf<T extends ReadFrame['type']> = Extract<ReadFrame, { type: T }>;

/** A subscription that is asked for, or open. */
interface Subscription extends Asked {
  readonly filter: string;
}

/** What carries a session's commands. */
export interface SessionWire {
  readonly links: readonly MemoryLink[];
  /** False where it has to want what it publishes itself. */
  readonly mayMute: boolean;
  send(command: Command): void;
  end(politely: boolean): void;
}

/** Subscribes to all that the followers of a device want, and publishes, over one session. */
export class FollowingSession implements Connection, MemoryPeer {
  readonly transport = 'websocket';
  readonly links: readonly MemoryLink[];
  readonly #parts: FollowingParts;
  readonly #record: SessionRecord;
  readonly #wire: SessionWire;
  /** True when it does not want what it publishes itself. */
  readonly #muted: boolean;
  readonly #asked = new Map<number, Subscription>();
  readonly #leaving = new Map<number, Subscription>();
  readonly #attempts = new Map<number, Attempt>();
  /** By filter, in the order in which they were answered: the first that matches delivers. */
  readonly #open = new Map<string, Subscription>();
  #own: string | undefined;
  #isOpen = true;
  #commands = 0;

  /** @param wire one that is there already; it tells what comes by `onRead`. */
  constructor(parts: FollowingParts, wire?: SessionWire) {
    const { random, followers } = parts;
    this.#parts = parts;
    this.#record = new SessionRecord(parts, this.transport, wire && 'apart-');
    this.#wire = wire ?? openWire(parts, this);
    this.#muted = random.chance(0.2) && this.#wire.mayMute;
    this.links = this.#wire.links;
    const wanted = followers.flatMap((follower) =>
      follower.filters.map((filter) => ({ follower, filter })),
    );
    if (random.chance(0.25)) wanted.reverse();
    for (const { follower, filter } of wanted) this.#subscribe(follower, filter);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  publish(publication: Publication): void {
    if (!this.#isOpen) return;
    const { channel, json, options } = publication;
    const id = this.#nextId();
    this.#attempts.set(id, publication.begin(this.#record.session));
    this.#send({ type: 'publish', id, channel, payload: encoder.encode(json), ...options });
  }

  /** Begins one of its subscriptions anew, or leaves it and comes back. */
  resubscribe(): void {
    const { random } = this.#parts;
    if (!this.#isOpen) return;
    const missing = this.#missing();
    if (missing.length > 0 && random.chance(0.7)) {
      const { follower, filter } = random.pick(missing);
      this.#subscribe(follower, filter);
      return;
    }
    const open = [...this.#open.values()].filter(({ filter }) => !this.#isBusy(filter));
    if (open.length === 0) return;
    const subscription = random.pick(open);
    if (random.chance(0.6)) this.#unsubscribe(subscription);
    else this.#subscribe(subscription.follower, subscription.filter);
  }

  end(politely: boolean): void {
    this.#wire.end(politely);
    this.onClose();
  }

  onFrame(frame: Frame, sentMs: number): void {
    if (!this.#isOpen) return;
    for (const read of readFrames(frame)) this.onRead(read, sentMs);
  }

  onPending(bytes: number): void {
    if (this.#isOpen && bytes > this.#parts.server.volatileRoom) this.#record.slow();
  }

  onClose(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#record.ended();
    for (const attempt of this.#attempts.values()) attempt.lost();
    this.#attempts.clear();
  }

  /** What it wants and neither has nor has asked for. */
  #missing(): { readonly follower: Follower; readonly filter: string }[] {
    return this.#parts.followers.flatMap((follower) =>
      follower.filters
        .filter((filter) => !this.#open.has(filter) && !this.#isBusy(filter))
        .map((filter) => ({ follower, filter })),
    );
  }

  #isBusy(filter: string): boolean {
    const busy = [...this.#asked.values(), ...this.#leaving.values()];
    return busy.some((asked) => asked.filter === filter);
  }

  #subscribe(follower: Follower, filter: string): void {
    const id = this.#nextId();
    const place = follower.placeOf(filter, this.#parts.random);
    const { after, last } = place;
    const start = {
      ...(after === undefined ? {} : { after }),
      ...(last === undefined ? {} : { last }),
    };
    const asked = this.#record.ask(follower, new Map([[filter, start]]), this.#muted);
    this.#asked.set(id, { ...asked, filter });
    const echo = this.#muted ? { echo: false } : {};
    const watches = !isWildcard(filter) && this.#parts.random.chance(0.8);
    const presence = watches ? { presence: true } : {};
    this.#send({ type: 'subscribe', id, channel: filter, ...place, ...echo, ...presence });
  }

  #unsubscribe(subscription: Subscription): void {
    const id = this.#nextId();
    this.#record.leave('leaving', subscription);
    this.#leaving.set(id, subscription);
    this.#send({ type: 'unsubscribe', id, channel: subscription.filter });
  }

  /** Takes what the server said. */
  onRead(frame: ReadFrame, sentMs: number): void {
    if (!this.#isOpen) return;
    switch (frame.type) {
      case 'welcome':
        this.#own = frame.session;
        return;
      case 'subscribed':
        return this.#onSubscribed(frame);
      case 'unsubscribed':
        return 'id' in frame ? this.#onUnsubscribed(frame.id) : undefined;
      case 'message':
        return this.#onMessage(frame, sentMs);
      case 'expired':
        return this.#onExpired(frame, sentMs);
      case 'gap':
        return this.#onGap(frame);
      case 'mark':
        return this.#onMark(this.#open.get(frame.channel), frame.mark);
      case 'published': {
        const attempt = this.#take(frame.id);
        if ('position' in frame) attempt?.acknowledged(frame);
        else attempt?.passed();
        return;
      }
      case 'presence':
        return this.#record.watching(frame.channel, frame.members.map(userOf));
      case 'join':
      case 'leave': {
        const kind = frame.type === 'join' ? 'came' : 'went';
        return this.#record.changed(kind, frame.channel, userOf(frame.member));
      }
      case 'error':
        return this.#onError(frame);
      default:
        return;
    }
  }

  #onSubscribed(frame: FrameOf<'subscribed'>): void {
    const asked = this.#asked.get(frame.id);
    if (asked === undefined) return;
    this.#asked.delete(frame.id);
    const { filter, follower } = asked;
    const { position, mark, recovered, gap } = frame;
    const verdict = {
      ...(position === undefined ? {} : { position: positionOf(position) }),
      ...(recovered === undefined ? {} : { recovered }),
      ...(gap === undefined ? {} : { gap }),
    };
    this.#record.following(asked, new Map([[filter, verdict]]));
    this.#open.delete(filter);
    this.#open.set(filter, asked);
    if (position !== undefined) follower.stand(filter, position);
    if (frame.members !== undefined) this.#record.watching(filter, frame.members.map(userOf));
    this.#onMark(asked, mark);
  }

  #onUnsubscribed(id: number): void {
    const subscription = this.#leaving.get(id);
    if (subscription === undefined) return;
    this.#leaving.delete(id);
    this.#open.delete(subscription.filter);
    this.#record.leave('left', subscription);
  }

  #onMessage(message: ReadMessage, sentMs: number): void {
    const { channel, epoch = '', offset = 0, time, payload, from, mark } = message;
    if (epoch === '') {
      this.#record.passing(channel, payload);
      this.#onMark(this.#patternFor(channel), mark);
      return;
    }
    const isOwn = from !== undefined && from.session === this.#own;
    const given = { channel, epoch, offset, payload, isOwn, sentMs, storedMs: time };
    this.#record.given(given);
    this.#advance(channel, epoch, offset);
    this.#onMark(this.#patternFor(channel), mark);
  }

  #onExpired(frame: FrameOf<'expired'>, sentMs: number): void {
    const { channel, epoch, from, to, mark } = frame;
    this.#record.lapsed({ channel, epoch, from, to, sentMs });
    this.#advance(channel, epoch, to);
    this.#onMark(this.#patternFor(channel), mark);
  }

  #onGap({ channel, gap, position }: FrameOf<'gap'>): void {
    this.#record.lost(channel, gap, positionOf(position));
    const open = this.#open.get(channel);
    // What another subscription lost may be behind this one.
    const stands = parsePosition(position);
    if (open !== undefined && stands !== undefined) open.follower.stand(channel, position);
  }

  #advance(channel: string, epoch: string, offset: number): void {
    for (const follower of this.#parts.followers) {
      follower.advance(channel, { epoch, offset }, this.#open.has(channel));
    }
  }

  #onMark(subscription: Subscription | undefined, mark: string | undefined): void {
    if (subscription === undefined || mark === undefined) return;
    this.#record.marked(subscription, mark);
    subscription.follower.stand(subscription.filter, mark);
  }

  /** The pattern that delivers a channel, which a mark beside a message is for. */
  #patternFor(channel: string): Subscription | undefined {
    for (const [filter, subscription] of this.#open) {
      if (isWildcard(filter) && isFor(filter, channel)) return subscription;
    }
    return undefined;
  }

  #onError({ id, code, stored }: FrameOf<'error'>): void {
    if (id === undefined) return;
    this.#take(id)?.refused(code, stored);
    // A refused subscription is tried again on another connection.
    if (this.#asked.has(id)) this.end(true);
  }

  #take(id: number): Attempt | undefined {
    const attempt = this.#attempts.get(id);
    this.#attempts.delete(id);
    return attempt;
  }

  #send(command: Command): void {
    this.#wire.send(command);
  }

  #nextId(): number {
    this.#commands += 1;
    return this.#commands;
  }
}

/** A link of its own, in either encoding. */
function openWire({ server, random, identity }: FollowingParts, peer: MemoryPeer): SessionWire {
  const isBinary = random.chance(0.4);
  const link = server.openSession(peer, identity, isBinary ? binaryCodec : jsonCodec);
  return {
    links: [link],
    mayMute: true,
    send: (command) => link.receive(writeCommand(command, isBinary)),
    end: (politely) => (politely ? link.leave() : link.drop()),
  };
}

function userOf({ user, session }: Member): string {
  return user ?? session;
}
