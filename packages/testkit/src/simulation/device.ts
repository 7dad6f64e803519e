/** Device: an application that follows channels and publishes, over whatever connection it has. */
import { CodedError } from '@trunkline/wire';
import type { Clock } from '@trunkline/server/internal/clock.ts';
import type { Identity } from '@trunkline/server/internal/auth/identity.ts';
import type { SeededRandom } from '../random.ts';
import type { Audience } from './audience.ts';
import type { Connection } from './connection.ts';
import { Publication } from './publication.ts';
import type { Attempt, PublicationFields } from './publication.ts';
import type { Recorder } from './recorder.ts';
import { identityOf } from './simulated-server.ts';
import type { SimulatedServer } from './simulated-server.ts';

/** Publications that a device remembers, to try them again. */
const REMEMBERED_MAX = 50;

/** The longest that a request or an answer is on its way. */
const TRAVEL_MS_MAX = 20;

/** What is said, and where. */
export interface Saying extends Pick<PublicationFields, 'channel' | 'padding' | 'ttl' | 'slot'> {
  /** True where nothing is kept: it is not said twice. */
  readonly isVolatile?: boolean;
}

/** What a device is made from. */
export interface DeviceParts {
  readonly user: string;
  readonly audience: Audience;
  readonly recorder: Recorder;
  readonly random: SeededRandom;
  readonly clock: Clock;
}

/** Keeps its place in each channel and its publications over all its connections. */
export class Device {
  readonly #user: string;
  readonly #name: string;
  readonly #identity: Identity;
  readonly #recorder: Recorder;
  readonly #random: SeededRandom;
  readonly #clock: Clock;
  readonly #audience: Audience;
  #connection: Connection | undefined;
  #publications: Publication[] = [];
  /** Tries by HTTP that are not answered yet. */
  readonly #posted = new Set<Attempt>();

  constructor(parts: DeviceParts) {
    this.#user = parts.user;
    this.#name = parts.recorder.name('device-');
    this.#identity = identityOf(parts.user);
    this.#recorder = parts.recorder;
    this.#random = parts.random;
    this.#clock = parts.clock;
    this.#audience = parts.audience;
  }

  get connection(): Connection | undefined {
    return this.#connection?.isOpen === true ? this.#connection : undefined;
  }

  /** Publications that were not answered, or refused for now, and may be tried again. */
  get openPublications(): readonly Publication[] {
    return this.#publications.filter((publication) => publication.isOpen);
  }

  /** Connects if it is not, by any transport. */
  connect(server: SimulatedServer): void {
    if (this.connection !== undefined) return;
    this.#connection = this.#audience.connect({
      server,
      recorder: this.#recorder,
      random: this.#random,
      identity: this.#identity,
      user: this.#user,
    });
  }

  disconnect(politely: boolean): void {
    this.#connection?.end(politely);
    this.#connection = undefined;
  }

  /** The server is dead, and with it every connection and what was asked by HTTP. */
  loseServer(): void {
    this.disconnect(false);
    for (const attempt of this.#posted) attempt.lost();
    this.#posted.clear();
  }

  /** Says something new in a channel. */
  publish(server: SimulatedServer, saying: Saying): void {
    const { isVolatile = false, slot, ...said } = saying;
    const keyed = !isVolatile && this.#random.chance(0.6);
    const publication = new Publication(this.#recorder, this.#clock, {
      ...said,
      ...(slot === undefined ? {} : { slot: `${this.#name}/${slot}` }),
      user: this.#user,
      ...(keyed ? { key: this.#key() } : {}),
    });
    this.#publications.push(publication);
    if (this.#publications.length > REMEMBERED_MAX) this.#publications.shift();
    this.#send(server, publication);
  }

  /** Tries again what may not have been stored. */
  retry(server: SimulatedServer): void {
    for (const publication of this.openPublications) this.#send(server, publication);
  }

  /** The application is reloaded and stands nowhere, or somewhere it can't stand. */
  forget(): void {
    this.disconnect(true);
    this.#audience.restart(this.#random);
  }

  /** Nearly always a key of its own; now and then one that another payload has taken. */
  #key(): string {
    const known = this.#publications.find((publication) => publication.key !== undefined)?.key;
    if (known !== undefined && this.#random.chance(0.05)) return known;
    return this.#recorder.name('key-');
  }

  #send(server: SimulatedServer, publication: Publication): void {
    const { connection } = this;
    if (connection?.publish !== undefined) connection.publish(publication);
    else this.#post(server, publication);
  }

  /** Publishes by HTTP, where the request and the answer take their time and may be lost. */
  #post(server: SimulatedServer, publication: Publication): void {
    const attempt = publication.begin(this.#recorder.name('request-'));
    const { channel, options, json } = publication;
    const request = { payload: new TextEncoder().encode(json), ...options };
    const travel = (task: () => void): void => {
      server.clock.after(this.#random.integer(TRAVEL_MS_MAX), task);
    };
    const isLost = this.#random.chance(0.05);
    this.#posted.add(attempt);
    const answered = (tell: () => void): void => {
      travel(() => {
        this.#posted.delete(attempt);
        if (isLost) attempt.lost();
        else tell();
      });
    };
    travel(() => {
      server.publish(this.#identity, channel, request).then(
        (position) =>
          answered(() => {
            if (position === undefined) attempt.passed();
            else attempt.acknowledged(position);
          }),
        (error: unknown) => answered(() => this.#refused(attempt, error)),
      );
    });
  }

  #refused(attempt: Attempt, error: unknown): void {
    if (error instanceof CodedError) attempt.refused(error.code, error.stored);
    else this.#recorder.fail(error);
  }
}
