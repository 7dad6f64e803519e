/** A WebSocket as a client has it: a session that speaks `trunkline.v1.json` over one link. */
import { decodeServerFrames, parsePosition } from '@trunkline/wire';
import type { Position, ServerFrame } from '@trunkline/wire';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import { placeOf } from './connection.ts';
import type { Connection, ConnectionParts } from './connection.ts';
import { payloadId } from './publication.ts';
import type { Attempt, Publication } from './publication.ts';
import type { Opening, Reader, ReaderSubscription } from './recorder.ts';

type FrameOf<T extends ServerFrame['type']> = Extract<ServerFrame, { type: T }>;

interface Asked {
  readonly reader: Reader;
  readonly opening: Opening;
}

/** Subscribes to all channels of a device, and publishes, over one session. */
export class SessionConnection implements Connection, MemoryPeer {
  readonly transport = 'websocket';
  readonly links: readonly MemoryLink[];
  readonly #parts: ConnectionParts;
  readonly #link: MemoryLink;
  readonly #name: string;
  readonly #asked = new Map<number, Asked>();
  readonly #attempts = new Map<number, Attempt>();
  readonly #subscriptions = new Map<string, ReaderSubscription>();
  #isOpen = true;
  #commands = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#name = parts.recorder.name('session-');
    this.#link = parts.server.openSession(this, parts.identity);
    this.links = [this.#link];
    for (const reader of parts.readers) this.#subscribe(reader);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  publish(publication: Publication): void {
    if (!this.#isOpen) return;
    const id = this.#nextId();
    const { channel, options, json } = publication;
    this.#attempts.set(id, publication.begin(this.#name));
    const head = JSON.stringify({ type: 'publish', id, channel, ...options });
    this.#link.receive(`${head.slice(0, -1)},"data":${json}}`);
  }

  /** Begins anew in one channel, on the same session. */
  resubscribe(): void {
    if (!this.#isOpen) return;
    const reader = this.#parts.random.pick(this.#parts.readers);
    const { channel } = reader;
    // Not answered yet: the place to go on from is not known.
    if ([...this.#asked.values()].some((asked) => asked.reader === reader)) return;
    // What the old subscription still has on its way is not looked at any more.
    this.#subscriptions.get(channel)?.close();
    this.#subscriptions.delete(channel);
    if (this.#parts.random.chance(0.5)) {
      const id = this.#nextId();
      this.#link.receive(JSON.stringify({ type: 'unsubscribe', id, channel }));
    }
    this.#subscribe(reader);
  }

  end(politely: boolean): void {
    if (politely) this.#link.leave();
    else this.#link.drop();
    this.onClose();
  }

  onFrame(frame: Frame): void {
    if (!this.#isOpen || typeof frame !== 'string') return;
    for (const push of decodeServerFrames(frame)) this.#onServerFrame(push);
  }

  onClose(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const subscription of this.#subscriptions.values()) subscription.close();
    for (const attempt of this.#attempts.values()) attempt.lost();
    this.#subscriptions.clear();
    this.#attempts.clear();
  }

  #subscribe(reader: Reader): void {
    const id = this.#nextId();
    const place = placeOf(reader, this.#parts.random);
    this.#asked.set(id, { reader, opening: reader.ask(this.transport, place.after) });
    this.#link.receive(
      JSON.stringify({ type: 'subscribe', id, channel: reader.channel, ...place }),
    );
  }

  #onServerFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'subscribed':
        return this.#onSubscribed(frame);
      case 'message': {
        const { epoch = '', offset = 0, data } = frame;
        return this.#subscriptions.get(frame.channel)?.message(epoch, offset, payloadId(data));
      }
      case 'gap':
        return this.#subscriptions.get(frame.channel)?.gap(frame.gap, positionOf(frame.position));
      case 'published': {
        if ('position' in frame) this.#take(frame.id)?.acknowledged(frame);
        return;
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
    const { recovered, gap } = frame;
    const subscription = asked.reader.open(asked.opening, {
      position: positionOf(frame.position ?? ''),
      ...(recovered === undefined ? {} : { recovered }),
      ...(gap === undefined ? {} : { gap }),
    });
    this.#subscriptions.set(frame.channel, subscription);
  }

  #onError(frame: FrameOf<'error'>): void {
    if (frame.id === undefined) return;
    this.#take(frame.id)?.refused(frame.code, frame.stored);
    // A refused subscription is tried again on another connection.
    if (this.#asked.has(frame.id)) this.end(true);
  }

  #take(id: number): Attempt | undefined {
    const attempt = this.#attempts.get(id);
    this.#attempts.delete(id);
    return attempt;
  }

  #nextId(): number {
    this.#commands += 1;
    return this.#commands;
  }
}

/** A position of the server's own words. */
export function positionOf(text: string): Position {
  const position = parsePosition(text);
  if (position === undefined) throw new Error(`expected a position from the server, got ${text}`);
  return position;
}
