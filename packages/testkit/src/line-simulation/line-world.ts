/**
 * Line world: applications with real lines, the networks between them and the server, and that
 * server's machine, moved step by step by chance.
 */
import type { Line } from '@trunkline/client';
import type { Violation } from '../history.ts';
import { ManualClock } from '../manual-clock.ts';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { CHANNELS, READ_CHANNELS } from '../simulation/surroundings.ts';
import { Application } from './application.ts';
import type { Tamper } from './application.ts';
import { happen } from './line-happenings.ts';
import { LineRecorder } from './line-recorder.ts';
import { Machine } from './machine.ts';

const APPLICATIONS = 4;

/** So many steps later there is one more channel. */
const BIRTH_STEPS = 30;

/** Seconds without faults, in which everyone must arrive; longer than any wait of the client. */
const REST_SECONDS = 90;

/** And in which everyone must be back on the transport that it prefers. */
const CLIMB_SECONDS = 1_600;

/** Longer than any time of grace. */
const DEPARTURE_MS = 15_000;

/** Longer than what is on its way when a line is closed. */
const CLOSING_MS = 20_000;

/** Transports over which whoever reads is there all the time, and is told who else is. */
const STEADY: readonly string[] = ['websocket', 'sse'];

/** What may be chosen beside the seed. */
export interface LineWorldOptions {
  /** A mistake that is put into the client, to see that it is noticed. */
  readonly tamper?: Tamper;
  /** True when a line reads names and patterns that match the same channels. */
  readonly overlaps?: boolean;
}

/** Everything of one run. The same seed makes the same world and the same steps. */
export class LineWorld {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly recorder: LineRecorder;
  readonly machine: Machine;
  readonly applications: readonly Application[];
  /** True when the disk refuses to store, or may store what it says it did not. */
  readonly hasDoubts: boolean;

  constructor(seed: number, { tamper = {}, overlaps = false }: LineWorldOptions = {}) {
    this.random = seededRandom(seed);
    this.recorder = new LineRecorder((channel) => this.machine.stateOf(channel));
    this.machine = new Machine({
      clock: this.clock,
      random: this.random,
      onPurged: this.recorder.purged,
      onGone: () => {
        for (const { network } of this.applications) network.loseServer();
      },
      onFailure: this.recorder.fail,
    });
    this.hasDoubts = this.random.chance(0.5);
    this.applications = Array.from(
      { length: APPLICATIONS },
      (_, index) =>
        new Application({
          user: `user-${index % 3}`,
          clock: this.clock,
          random: this.random.fork(),
          recorder: this.recorder,
          server: () => this.machine.server,
          tamper,
          overlaps,
          hasDoubts: this.hasDoubts,
        }),
    );
  }

  /** Does one thing, chosen by chance, and lets some time pass. */
  async step(): Promise<void> {
    this.recorder.step += 1;
    await happen(this);
    if (this.random.chance(0.7)) await this.clock.pass(this.#passMs());
  }

  /** Every fault ends, and everyone has all the time it needs. */
  async rest(): Promise<void> {
    this.recorder.step += 1;
    await this.machine.start();
    this.machine.heal();
    for (const application of this.applications) {
      application.network.lossChance = 0;
      application.network.set([]);
      for (const reader of application.readers) {
        reader.setSlow(false);
        reader.free();
      }
      if (application.isClosed) application.open();
    }
    for (let second = 0; second < REST_SECONDS; second += 1) await this.clock.pass(1_000);
  }

  /** Time passes until everyone is on the best of its transports. */
  async climb(): Promise<void> {
    for (
      let passed = 0;
      passed < CLIMB_SECONDS && !this.applications.every(isOnTop);
      passed += 10
    ) {
      await this.clock.pass(10_000);
    }
  }

  /** Who is not connected, or still waits for an answer, when everyone had time. */
  unrest(): Violation[] {
    return this.applications.flatMap(({ user, line, waiting }) => {
      const told = [];
      if (line.state !== 'connected') told.push(`the line is ${line.state}: ${explain(line)}`);
      if (waiting > 0) told.push(`${waiting} publishes have no answer`);
      return told.map((message) => this.#violation(`${user}: ${message}`));
    });
  }

  /** One user goes, and what the others are told of it shows in their lists; then it comes back. */
  async depart(): Promise<Violation[]> {
    const [, application] = this.applications;
    application?.close();
    await this.clock.pass(DEPARTURE_MS);
    const strangers = this.strangers();
    application?.open();
    return strangers;
  }

  /**
   * Whose list of members is not who is there. Judged are lists that are told of changes, by those
   * who are there all the time: a poll is a member only while it waits.
   */
  strangers(): Violation[] {
    const steady = this.applications.filter(({ line }) => STEADY.includes(line.transport ?? ''));
    return steady.flatMap(({ user, readers }) =>
      readers
        .filter(({ start }) => start.presence === true)
        .flatMap(({ channel }) => {
          const listed = new Set(channel.members.all.map((member) => member.user ?? ''));
          const isReading = ({ readers: others }: Application): boolean =>
            others.some(({ start }) => start.filter === channel.name && start.presence === true);
          const missing = steady.filter((one) => isReading(one) && !listed.has(one.user));
          const reading = new Set(
            this.applications
              .filter(
                ({ isClosed, readers: others }) =>
                  !isClosed && others.some(({ start }) => start.filter === channel.name),
              )
              .map((one) => one.user),
          );
          const gone = [...listed].filter((one) => !reading.has(one));
          const told = [
            ...missing.map((one) => `${one.user} is there and is not listed`),
            ...gone.map((one) => `${one} is listed and is not there`),
          ];
          return told.map((one) =>
            this.#violation(`to ${user} in ${channel.name}: ${one}`, 'presence'),
          );
        }),
    );
  }

  /** Who is not on the transport that it prefers. */
  notOnTop(): Violation[] {
    return this.applications
      .filter((application) => !isOnTop(application))
      .map(({ user, line }) =>
        this.#violation(`${user} is on ${line.transport}: ${explain(line)}`),
      );
  }

  /** What is left when all lines are closed. */
  leaks(): Violation[] {
    return this.applications.flatMap(({ user, timerCount, network }) => {
      if (timerCount === 0 && network.openCount === 0) return [];
      const left = `${timerCount} timers and ${network.openCount} connections are left`;
      return [this.#violation(`${user}: ${left}`)];
    });
  }

  /** Everyone goes. */
  async end(): Promise<void> {
    this.recorder.step += 1;
    for (const application of this.applications) application.end();
    await this.clock.pass(CLOSING_MS);
  }

  /** Channels in which something may have been said by now: some are born late. */
  get bornChannels(): readonly string[] {
    const born = READ_CHANNELS.length + 1 + Math.floor(this.recorder.step / BIRTH_STEPS);
    return CHANNELS.slice(0, born);
  }

  #violation(message: string, promise: Violation['promise'] = 'unasked'): Violation {
    return { promise, step: this.recorder.step, channel: '', message };
  }

  #passMs(): number {
    if (this.random.chance(0.01)) return 40_000;
    return this.random.chance(0.06) ? 2_000 : this.random.integer(30);
  }
}

function isOnTop({ line, transports }: Application): boolean {
  return line.transport === transports[0]?.name;
}

function explain(line: Line): string {
  return JSON.stringify(line.explain());
}
