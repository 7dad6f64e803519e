/** What MQTT sessions are built from, and what they are told. */
import type { CodedError } from '@trunkline/wire';
import type { Authenticator } from '../../auth/authenticator.ts';
import type { StateStore } from '../../broker/state.ts';
import type { Clock } from '../../clock.ts';
import type { Hub } from '../../hub/hub.ts';
import type { Log } from '../../observe/log.ts';
import type { Random } from '../../random.ts';
import type { Wheel } from '../../wheel.ts';
import type { EndingLog } from './connection/ending-log.ts';
import type { MqttCounts } from './counts.ts';
import type { Sys } from './sys/sys.ts';

/** Characters of a word that nobody guesses and no two have: a key, a client identifier, a session. */
export const WORD_LENGTH = 16;

/** The limits of the protocol; the group `mqtt` of the configuration says what happens at each. */
export interface MqttConfig {
  readonly packetBytesMax: number;
  readonly connectMs: number;
  /** 0 leaves it to the client. */
  readonly keepAliveSecondsMax: number;
  readonly sessionExpirySecondsMax: number;
  /** Sessions stored at a time, in all and of each user; 0 sets no limit. */
  readonly sessionsMax: number;
  readonly sessionsPerUserMax: number;
  readonly clientIdLengthMax: number;
  readonly inflightMax: number;
  readonly receiveMaximum: number;
  readonly topicAliasMax: number;
  /** Where 5.0 clients are sent while the node drains. */
  readonly serverReference?: string;
  readonly subscriptionsMax: number;
  /** Packets of one client, but for answers; 0 sets no rate. */
  readonly commandsPerSecondMax: number;
  readonly ackSaveMs: number;
  /** How often the topics below `$SYS` are told; 0 is never. */
  readonly sysIntervalMs: number;
  /** Unsent bytes of a link; above a part of them nothing more is read from it. */
  readonly highWaterSize: number;
}

/** What the protocol is built from. */
export interface MqttParts {
  readonly hub: Hub;
  readonly state: StateStore;
  readonly authenticator: Pick<Authenticator, 'fromLogin' | 'fromToken'>;
  readonly clock: Clock;
  readonly wheel: Wheel;
  readonly random: Random;
  readonly log: Log;
  readonly config: MqttConfig;
  /** Set while the node takes no new clients. */
  refusal(): CodedError | undefined;
}

/** That, and what all connections of a node have in common. */
export interface NodeParts extends MqttParts {
  readonly counts: MqttCounts;
  readonly endings: EndingLog;
  readonly sys: Sys;
}
