/** Tally: what a reader of many channels was given, held against what it should be given. */
import type { Fields } from '../../src/http.ts';
import type { WebSocketPeer } from '../../src/web-socket.ts';

/** Counts every message of every channel: each once, in order, from the first one on. */
export class Tally {
  readonly #offsets = new Map<string, number>();
  /** Where channels stood at the last mark, if they moved since. */
  readonly #atMark = new Map<string, number>();
  mark: string | undefined;
  count = 0;

  /** @throws when a message is missing before this one, or came before. */
  take(fields: Fields): void {
    const { type, channel, offset, mark } = fields;
    if (type === 'message') this.#takeMessage(String(channel), Number(offset));
    if (typeof mark !== 'string') return;
    this.mark = mark;
    this.#atMark.clear();
  }

  /** Reads on until so many messages have come. @throws as `take`. */
  async readTo(peer: WebSocketPeer, count: number): Promise<void> {
    while (this.count < count) {
      const fields = await peer.next();
      if (fields['type'] === 'gap') throw new Error(`a gap: ${JSON.stringify(fields)}`);
      if (fields['channel'] !== 'system/metrics') this.take(fields);
    }
  }

  /** The reader goes on by its last mark: what came since comes again. */
  goBack(): string {
    for (const [channel, offset] of this.#atMark) {
      this.count -= (this.#offsets.get(channel) ?? 0) - offset;
      this.#offsets.set(channel, offset);
    }
    this.#atMark.clear();
    return this.mark ?? 'start';
  }

  #takeMessage(channel: string, offset: number): void {
    const before = this.#offsets.get(channel) ?? 0;
    if (offset !== before + 1) {
      throw new Error(`expected ${before + 1} in ${channel}, got ${offset}`);
    }
    if (!this.#atMark.has(channel)) this.#atMark.set(channel, before);
    this.#offsets.set(channel, offset);
    this.count += 1;
  }
}
