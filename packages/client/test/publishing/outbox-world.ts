/** An outbox over attempts that the test answers, and what became of what was published. */
import { CodedError } from '@trunkline/wire';
import { ManualClock } from '@trunkline/testkit';
import { expect } from 'vitest';
import { Outbox } from '../../src/publishing/outbox.ts';
import type { OutboxLimits } from '../../src/publishing/outbox.ts';
import type { Published } from '../../src/publishing/published.ts';
import { toMembers } from '../../src/publishing/outgoing.ts';
import type { Welcome } from '../../src/transports/transport.ts';
import { FakeAttempt } from './fake-attempt.ts';

/** An outbox, and what became of what was published. Jitter is always a half. */
export class OutboxWorld {
  readonly clock = new ManualClock();
  readonly outbox: Outbox;
  attempt = new FakeAttempt();
  readonly results: (Published | Error | undefined)[] = [];

  constructor(limits?: OutboxLimits) {
    const unixMs = () => this.clock.unixMs();
    this.outbox = new Outbox({ clock: this.clock, random: () => 0.5, unixMs }, limits);
  }

  /** Publishes numbers that go on from those before. */
  publish(
    channel = 'a',
    options: { key?: string; signal?: AbortSignal; retry?: boolean } = {},
  ): void {
    const index = this.results.push(undefined) - 1;
    this.outbox.publish(channel, toMembers(channel, index), options).then(
      (published) => (this.results[index] = published),
      (error: Error) => (this.results[index] = error),
    );
  }

  publishAll(...channels: string[]): void {
    for (const channel of channels) this.publish(channel);
  }

  ready(welcome: Welcome = {}): FakeAttempt {
    this.attempt = new FakeAttempt();
    this.outbox.onReady(this.attempt, welcome);
    return this.attempt;
  }

  async lose(): Promise<void> {
    this.outbox.onLost();
    this.attempt.close();
    await this.clock.settle();
  }

  async accept(...indexes: number[]): Promise<void> {
    for (const index of indexes) this.attempt.publishes[index]?.accept();
    await this.clock.settle();
  }

  async refuse(...indexes: number[]): Promise<void> {
    for (const index of indexes) this.attempt.publishes[index]?.refuse('unavailable');
    await this.clock.settle();
  }

  /** What became of each publish, in short words. */
  get told(): unknown[] {
    return this.results.map((result) => {
      if (result === undefined) return 'waits';
      if (result instanceof CodedError) return `${result.code} ${result.stored}`;
      if (result instanceof Error) return result.name;
      return result.position ?? 'volatile';
    });
  }

  expectIdle(): void {
    expect(this.told).not.toContain('waits');
    expect(this.outbox.waiting).toBe(0);
    expect(this.clock.timerCount).toBe(0);
  }
}
