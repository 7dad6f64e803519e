/** A WebSocketLink over a real socket, on a clock that the test moves. */
import type { Close, Frame, LinkHandler } from '@trunkline/server/internal/link/link.ts';
import { SharedBatch } from '@trunkline/server/internal/link/shared-batch.ts';
import { Turn } from '@trunkline/server/internal/link/turn.ts';
import { silentLog } from '@trunkline/server/internal/observe/log.ts';
import type { Log } from '@trunkline/server/internal/observe/log.ts';
import type { LinkCompression } from '@trunkline/server/internal/transports/websocket/compression.ts';
import { WEBSOCKET_DEFAULTS } from '@trunkline/server/internal/transports/websocket/config.ts';
import { ContextInflater } from '@trunkline/server/internal/transports/websocket/inflate.ts';
import { WebSocketLink } from '@trunkline/server/internal/transports/websocket/link.ts';
import { Wheel } from '@trunkline/server/internal/wheel.ts';
import { ManualClock } from '@trunkline/testkit';
import { openSockets, RawPeer, until } from './peer.ts';

/** An alarm comes so much later at most. */
export const TICK_MS = 250;

/** Writes down what its link says. */
export class Recorder implements LinkHandler {
  readonly frames: Frame[] = [];
  readonly closes: Close[] = [];
  drains = 0;
  onFrame(frame: Frame): void {
    this.frames.push(frame);
  }
  onDrain(): void {
    this.drains += 1;
  }
  onClose(close: Close): void {
    this.closes.push(close);
  }
}

/** A link, the peer at its other end, and the time between them. */
export class Harness implements AsyncDisposable {
  readonly clock = new ManualClock({ monotonicMs: 5000.5 });
  readonly wheel = new Wheel(this.clock, TICK_MS);
  readonly link: WebSocketLink;
  readonly peer: RawPeer;
  goneCount = 0;

  static async open(log: Log = silentLog, compression?: LinkCompression): Promise<Harness> {
    return new Harness(await openSockets(), log, compression);
  }

  private constructor(
    sockets: Awaited<ReturnType<typeof openSockets>>,
    log: Log,
    compression: LinkCompression | undefined,
  ) {
    const config = WEBSOCKET_DEFAULTS;
    const compresses = compression !== undefined;
    this.peer = new RawPeer(sockets.client, compresses ? new ContextInflater(15) : undefined);
    this.link = new WebSocketLink(sockets.server, '192.0.2.7', {
      turn: new Turn(this.clock),
      clock: this.clock,
      wheel: this.wheel,
      config,
      rules: {
        ...config,
        peerMasks: true,
        ...(compresses ? { inflater: compression.inflater } : {}),
      },
      ...(compresses ? { compression } : {}),
      log,
      onGone: () => (this.goneCount += 1),
    });
  }

  readonly settle = async (): Promise<void> => {
    await this.clock.settle();
  };

  readonly until = async (what: string, condition: () => boolean): Promise<void> => {
    await until(what, condition, this.settle);
  };

  /** Lets rounds pass in which something unwanted would show. */
  readonly rest = async (): Promise<void> => {
    for (let round = 0; round < 20; round += 1) await this.settle();
  };

  /** Sends to a peer that does not read until the link has bytes that nobody takes. */
  readonly fill = async (): Promise<void> => {
    this.peer.setReading(false);
    const batch = new SharedBatch(Buffer.alloc(256 * 1024, 'x'), true);
    do {
      this.link.sendShared(batch);
      await this.rest();
    } while (this.link.pendingBytes === 0);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.wheel.close();
    this.peer.socket.destroy();
    await this.until('the link to be gone', () => this.goneCount === 1);
  }
}
