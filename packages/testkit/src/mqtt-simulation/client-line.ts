/**
 * ClientLine: one connection of a simulated MQTT client. It reads packet by packet, and can be cut
 * behind any packet in either direction, or inside one.
 */
import { PacketDecoder } from '@trunkline/server/internal/protocols/mqtt/codec/decoder.ts';
import { encode } from '@trunkline/server/internal/protocols/mqtt/codec/encode.ts';
import type { Packet, Version } from '@trunkline/server/internal/protocols/mqtt/codec/packets.ts';
import type { Frame } from '@trunkline/server/internal/link/link.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';

/** How the packet goes behind which a line is cut, if it is one of the client's. */
export type Cut = 'whole' | 'part' | 'nothing';

/** What a line is made from. */
export interface ClientLineParts {
  readonly version: Version;
  readonly packetSizeMax: number;
  /** Opens the link at the server. */
  readonly open: (peer: MemoryPeer) => MemoryLink;
  readonly onPacket: (packet: Packet) => void;
  /** The server sent what no server may send. */
  readonly onFault: (fault: unknown) => void;
  /** Last call. @param isKnown true when the server knows it too. */
  readonly onEnd: (isKnown: boolean) => void;
}

/** A line that is open until either side, or the network, ends it. */
export class ClientLine implements MemoryPeer {
  readonly link: MemoryLink;
  readonly #parts: ClientLineParts;
  readonly #decoder: PacketDecoder;
  #isOpen = true;
  #packetsLeft = Infinity;
  #cut: Cut = 'whole';

  constructor(parts: ClientLineParts) {
    this.#parts = parts;
    const { version, packetSizeMax } = parts;
    this.#decoder = new PacketDecoder({ from: 'server', version, packetSizeMax });
    this.link = parts.open(this);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The line breaks behind the so-manieth packet from now, whoever sends it. */
  cutAfter(packets: number, cut: Cut): void {
    this.#packetsLeft = packets;
    this.#cut = cut;
  }

  send(packet: Packet): void {
    if (!this.#isOpen) return;
    const bytes = encode(packet, this.#parts.version);
    this.#packetsLeft -= 1;
    if (this.#packetsLeft > 0) {
      this.link.receive(bytes);
      return;
    }
    if (this.#cut === 'whole') this.link.receive(bytes);
    if (this.#cut === 'part') this.link.receive(bytes.subarray(0, bytes.length - 1));
    this.drop();
  }

  /** Ends it after what was sent. */
  leave(): void {
    this.link.leave();
    // Its server may not be reading it.
    this.#end(this.link.isGone);
  }

  /** Breaks it: both sides learn it at once. */
  drop(): void {
    this.link.drop();
    this.#end(true);
  }

  /** Looks at it no more, and the server does not learn it. */
  abandon(): void {
    this.link.setFaults({ freeze: true });
    this.#end(false);
  }

  onFrame(frame: Frame): void {
    if (!this.#isOpen) return;
    try {
      if (typeof frame === 'string') throw new Error('MQTT is bytes, got a frame of text');
      // A copy: packets are kept, and the server may write its buffer anew.
      for (const packet of this.#decoder.push(Uint8Array.from(frame))) {
        this.#packetsLeft -= 1;
        const isCut = this.#packetsLeft <= 0;
        // Cut first: the packet has come, and nothing more can be said.
        if (isCut) this.link.drop();
        this.#parts.onPacket(packet);
        if (isCut) this.#end(true);
        if (!this.#isOpen) return;
      }
    } catch (error) {
      this.#parts.onFault(error);
      this.drop();
    }
  }

  onClose(): void {
    this.#end(true);
  }

  #end(isKnown: boolean): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#parts.onEnd(isKnown);
  }
}
