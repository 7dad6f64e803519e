/** MqttSite: where MQTT servers run in a simulation, one process after the other. */
import type { ManualClock } from '../manual-clock.ts';
import type { MemoryLink, MemoryPeer } from '../memory-link.ts';
import type { SeededRandom } from '../random.ts';
import type { MqttRecorder } from './mqtt-recorder.ts';

/** One process of a server. */
export interface MqttServer {
  /** A client's connection. */
  open(peer: MemoryPeer, user: string): MemoryLink;
  /** A message from elsewhere. Resolves when it is in the log. */
  publish(user: string, channel: string, payload: Uint8Array): Promise<void>;
  /**
   * Ends orderly. Time has to pass meanwhile.
   *
   * @returns false when it could not store all that it keeps: then it is as if it had been killed.
   */
  stop(): Promise<boolean>;
  /** Ends in the middle of whatever it does; every link breaks. */
  kill(): void;
}

/** What outlives the processes of a server. */
export interface MqttSite {
  /** Starts a process, while none runs. Time has to pass meanwhile. */
  start(): Promise<MqttServer>;
  /** Something of its own goes wrong, or well again. */
  happen(): void;
  /** All that is its own goes well from now on. */
  heal(): void;
  /** Milliseconds that a node has taken at most to see in a channel what it has acknowledged there. */
  readonly seenMs: number;
  /** True where retention may take what not everyone has read. */
  mayLose(channel: string): boolean;
}

/** What a site is made from. */
export interface MqttSiteParts {
  readonly clock: ManualClock;
  readonly random: SeededRandom;
  /** It writes down each message that comes into the log, at that moment. */
  readonly recorder: MqttRecorder;
}
