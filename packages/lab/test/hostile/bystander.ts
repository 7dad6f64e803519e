/** Bystander: a client that does nothing wrong, beside others that do. */
import { expect } from 'vitest';
import type { LabServer } from '../../src/server.ts';
import type { Dialing } from '../../src/web-socket.ts';
import { WebSocketPeer } from '../../src/web-socket.ts';

/** What it saw while something went on. */
export interface Seen {
  /** Messages that it published and was given back, one after the other. */
  readonly rounds: number;
  readonly slowestMs: number;
  /** How long it all took. */
  readonly wholeMs: number;
}

/** Publishes to a channel of its own and reads it, as fast as it is answered. */
export class Bystander implements Disposable {
  readonly #peer: WebSocketPeer;
  readonly #channel: string;
  #offset = 0;

  private constructor(peer: WebSocketPeer, channel: string) {
    this.#peer = peer;
    this.#channel = channel;
  }

  static async open(server: LabServer, channel: string, dialing?: Dialing): Promise<Bystander> {
    const peer = await WebSocketPeer.open(server.port, dialing);
    await peer.nextOf('welcome');
    await peer.call({ type: 'subscribe', id: 0, channel });
    return new Bystander(peer, channel);
  }

  /** One message there and back, and no other one. */
  async round(): Promise<void> {
    this.#offset += 1;
    const channel = this.#channel;
    this.#peer.send({ type: 'publish', channel, data: this.#offset });
    const message = await this.#peer.next();
    expect(message).toMatchObject({ type: 'message', channel, offset: this.#offset });
  }

  /** Goes on until the work of others is done. */
  async during(work: Promise<unknown>): Promise<Seen> {
    let isDone = false;
    const end = work.finally(() => (isDone = true));
    const beginMs = performance.now();
    let rounds = 0;
    let slowestMs = 0;
    while (!isDone) {
      const roundMs = performance.now();
      await this.round();
      slowestMs = Math.max(slowestMs, performance.now() - roundMs);
      rounds += 1;
    }
    await end;
    return { rounds, slowestMs, wholeMs: performance.now() - beginMs };
  }

  [Symbol.dispose](): void {
    this.#peer[Symbol.dispose]();
  }
}

/** It had its turns, and never waited until the others were done. */
export function expectServed({ rounds, slowestMs, wholeMs }: Seen): void {
  expect(rounds).toBeGreaterThan(5);
  expect(slowestMs).toBeLessThan(wholeMs / 2);
}
