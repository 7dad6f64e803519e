/** Event streams as a browser has them: one one-way link for each channel. */
import { isObject } from './json.ts';
import { parseAfter } from '@trunkline/wire';
import type { Gap } from '@trunkline/wire';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import { MemoryConnection } from '../memory-connection.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import { placeOf } from './connection.ts';
import type { Connection, ConnectionParts } from './connection.ts';
import { EventParser } from './event-parser.ts';
import type { ParsedEvent } from './event-parser.ts';
import { payloadId } from './publication.ts';
import type { Opening, Reader, ReaderSubscription } from './recorder.ts';
import { positionOf } from './session-connection.ts';

/** Follows all channels of a device; it can't publish. */
export class StreamConnection implements Connection {
  readonly transport = 'sse';
  readonly #streams: readonly EventStream[];
  /** Half of the devices speak HTTP/2. */
  readonly shared: MemoryConnection | undefined;
  #isOpen = true;

  constructor(parts: ConnectionParts) {
    this.shared = parts.random.chance(0.5) ? new MemoryConnection() : undefined;
    this.#streams = parts.readers.map((reader) => {
      return new EventStream(parts, reader, this.shared, () => this.end(true));
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

class EventStream implements MemoryPeer {
  readonly link: MemoryLink;
  readonly #reader: Reader;
  readonly #parser = new EventParser();
  readonly #opening: Opening;
  readonly #onEnd: () => void;
  #subscription: ReaderSubscription | undefined;
  #isOpen = true;

  constructor(
    parts: ConnectionParts,
    reader: Reader,
    shared: MemoryConnection | undefined,
    onEnd: () => void,
  ) {
    this.#reader = reader;
    this.#onEnd = onEnd;
    const { after, last, partial } = placeOf(reader, parts.random);
    this.#opening = reader.ask('sse', after);
    const start = {
      ...(after === undefined ? {} : { after: parseAfter(after) }),
      ...(last === undefined ? {} : { last }),
      ...(partial === undefined ? {} : { partial }),
    };
    const starts = new Map([[reader.channel, start]]);
    this.link = parts.server.openStream(this, parts.identity, starts, shared);
  }

  end(politely: boolean): void {
    if (politely) this.link.leave();
    else this.link.drop();
    this.onClose();
  }

  onFrame(frame: Frame): void {
    if (!this.#isOpen || typeof frame !== 'string') return;
    for (const event of this.#parser.parse(frame)) this.#onEvent(event);
  }

  onClose(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#subscription?.close();
    this.#onEnd();
  }

  #onEvent({ id, event, data, isDispatched }: ParsedEvent): void {
    if (id === undefined || !isDispatched) return;
    const position = positionOf(id);
    const value: unknown = JSON.parse(data);
    if (event === 'open') {
      const { recovered, gap } = openFields(value, this.#reader.channel);
      this.#subscription = this.#reader.open(this.#opening, {
        position,
        ...(recovered === undefined ? {} : { recovered }),
        ...(gap === undefined ? {} : { gap }),
      });
    } else if (event === 'gap') {
      if (isObject(value)) this.#subscription?.gap(value['gap'] as Gap, position);
    } else {
      this.#subscription?.message(position.epoch, position.offset, payloadId(value));
    }
  }
}

function openFields(value: unknown, channel: string): { recovered?: boolean; gap?: Gap } {
  if (!isObject(value)) return {};
  const { recovered, gaps } = value;
  const told = isObject(recovered) ? recovered[channel] : undefined;
  const gap = isObject(gaps) ? gaps[channel] : undefined;
  return {
    ...(typeof told === 'boolean' ? { recovered: told } : {}),
    ...(gap === undefined ? {} : { gap: gap as Gap }),
  };
}
