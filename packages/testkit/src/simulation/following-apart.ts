/**
 * A WebSocket whose subscriptions stand apart [APART-1]: each is checked as a session of its own, which
 * knows nothing of the others on the same link.
 */
import { binaryCodec, jsonCodec } from '@trunkline/server/internal/protocols/native/codec.ts';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import type { Command } from '@trunkline/wire';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { Connection, FollowingParts } from './connection.ts';
import { FollowingSession } from './following-session.ts';
import type { SessionWire } from './following-session.ts';
import type { Publication } from './publication.ts';
import { readFrames, writeCommand } from './server-frames.ts';
import type { ReadFrame } from './server-frames.ts';

/** Ids of commands are those of a subscription times this, and its number. */
const NUMBERS_MAX = 1_000;

/** One link, and a session on it for each channel or pattern that is followed. */
export class FollowingApart implements Connection, MemoryPeer {
  readonly transport = 'websocket';
  readonly links: readonly MemoryLink[];
  readonly #parts: FollowingParts;
  readonly #link: MemoryLink;
  readonly #isBinary: boolean;
  /** By the number of the subscription. */
  readonly #strands = new Map<number, FollowingSession>();

  constructor(parts: FollowingParts) {
    const { server, random, identity, followers } = parts;
    this.#parts = parts;
    this.#isBinary = random.chance(0.4);
    this.#link = server.openSession(this, identity, this.#isBinary ? binaryCodec : jsonCodec);
    this.links = [this.#link];
    for (const follower of followers) {
      for (const filter of follower.filters) this.#add([follower.only(filter)]);
    }
  }

  get isOpen(): boolean {
    return [...this.#strands.values()].every(({ isOpen }) => isOpen);
  }

  publish(publication: Publication): void {
    this.#strands.get(1)?.publish(publication);
  }

  resubscribe(): void {
    this.#parts.random.pick([...this.#strands.values()]).resubscribe();
  }

  end(politely: boolean): void {
    if (politely) this.#link.leave();
    else this.#link.drop();
    this.onClose();
  }

  onFrame(frame: Frame, sentMs: number): void {
    for (const read of readFrames(frame)) this.#onRead(read, sentMs);
  }

  onPending(bytes: number): void {
    for (const strand of this.#strands.values()) strand.onPending(bytes);
  }

  onClose(): void {
    for (const strand of this.#strands.values()) strand.onClose();
  }

  #add(followers: FollowingParts['followers']): void {
    const as = this.#strands.size + 1;
    const send = (command: Command): void => {
      const isSubscription = command.type === 'subscribe' || command.type === 'unsubscribe';
      const told = isSubscription ? { ...command, as } : command;
      const id = 'id' in told && told.id !== undefined ? { id: told.id * NUMBERS_MAX + as } : {};
      this.#link.receive(writeCommand({ ...told, ...id }, this.#isBinary));
    };
    const wire: SessionWire = {
      links: this.links,
      // What the session publishes itself is told by that subscription which publishes.
      mayMute: as === 1,
      send,
      end: (politely) => this.end(politely),
    };
    const strand = new FollowingSession({ ...this.#parts, followers }, wire);
    this.#strands.set(as, strand);
  }

  #onRead(frame: ReadFrame, sentMs: number): void {
    if (frame.type === 'welcome') {
      for (const strand of this.#strands.values()) strand.onRead(frame, sentMs);
    } else if ('id' in frame && frame.id !== undefined) {
      const strand = this.#strands.get(frame.id % NUMBERS_MAX);
      const id = Math.floor(frame.id / NUMBERS_MAX);
      if (!isOwn(frame, frame.id % NUMBERS_MAX)) this.#parts.recorder.fail(misled(frame));
      strand?.onRead({ ...frame, id }, sentMs);
    } else if ('as' in frame && frame.as !== undefined) {
      this.#strands.get(frame.as)?.onRead(frame, sentMs);
    } else if (frame.type === 'message' || frame.type === 'gap' || frame.type === 'mark') {
      this.#parts.recorder.fail(misled(frame));
    }
  }
}

/** True for an answer with the number that was asked with. */
function isOwn(frame: ReadFrame, as: number): boolean {
  const isNumbered = frame.type === 'subscribed' || frame.type === 'unsubscribed';
  return !isNumbered || frame.as === as;
}

function misled(frame: ReadFrame): Error {
  return new Error(`for no subscription that was asked for: ${JSON.stringify(frame)}`);
}
