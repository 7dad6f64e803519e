/** Audience: what the application on a device listens to, and by what connections it can. */
import type { SeededRandom } from '../random.ts';
import type { Connection, LineParts } from './connection.ts';
import type { Follower } from './follower.ts';
import { FollowingApart } from './following-apart.ts';
import { FollowingSession } from './following-session.ts';
import { FollowingStreams } from './following-stream.ts';
import { PollConnection } from './poll-connection.ts';
import type { Reader } from './recorder.ts';
import { SessionConnection } from './session-connection.ts';
import { StreamConnection } from './stream-connection.ts';

/** Keeps its places over all connections of its device. */
export interface Audience {
  /** Connects by any transport. */
  connect(line: LineParts): Connection;
  /** The application is reloaded and stands nowhere, or somewhere it can't stand. */
  restart(random: SeededRandom): void;
}

const READING = [SessionConnection, StreamConnection, PollConnection] as const;
const FOLLOWING = [FollowingSession, FollowingSession, FollowingApart, FollowingStreams] as const;

/** Reads single channels, each by itself. */
export class Readers implements Audience {
  readonly #readers: readonly Reader[];

  constructor(readers: readonly Reader[]) {
    this.#readers = readers;
  }

  connect(line: LineParts): Connection {
    const Transport = line.random.pick(READING);
    return new Transport({ ...line, readers: this.#readers });
  }

  restart(random: SeededRandom): void {
    for (const reader of this.#readers) {
      reader.restart(random.pick([undefined, 'what?', 'nobody:3', beyond(reader.position)]));
    }
  }
}

/** Follows several channels and patterns together. */
export class Followers implements Audience {
  readonly #followers: readonly Follower[];
  readonly #channels: readonly string[];

  /** @param channels all channels of the run. */
  constructor(followers: readonly Follower[], channels: readonly string[]) {
    this.#followers = followers;
    this.#channels = channels;
  }

  connect(line: LineParts): Connection {
    const Transport = line.random.pick(FOLLOWING);
    return new Transport({ ...line, followers: this.#followers, channels: this.#channels });
  }

  restart(random: SeededRandom): void {
    for (const follower of this.#followers) {
      follower.restart(random.pick([undefined, 'what?', 'nobody:3', '~foreign']));
    }
  }
}

/** A position that the stream has not reached. */
function beyond(position: string | undefined): string | undefined {
  return position === undefined ? undefined : `${position}000`;
}
