/** MQTT: versions 3.1.1 and 5.0, over any duplex link of bytes. */
import type { Identity } from '../../auth/identity.ts';
import type { Link, LinkHandler } from '../../link/link.ts';
import type { Readings } from '../../observe/metrics.ts';
import { MqttConnection } from './connection/connection.ts';
import { EndingLog } from './connection/ending-log.ts';
import { Greeting } from './connection/greeting.ts';
import { MqttCounts } from './counts.ts';
import type { MqttParts, NodeParts } from './parts.ts';
import { Sessions } from './session/sessions.ts';
import { StoredRecords } from './stored-records.ts';
import { Sys } from './sys/sys.ts';
import { Wills } from './wills/will.ts';

/** What the carrier of a link knows of its client. */
export interface MqttOpening {
  /** Whom a certificate or the handshake proved; absent where CONNECT tells. */
  readonly identity?: Identity;
}

/** Opens connections, and knows those that are open. */
export class MqttProtocol {
  readonly name = 'mqtt';
  readonly #parts: NodeParts;
  readonly #sessions: Sessions;
  readonly #greeting: Greeting;
  readonly #wills: Wills;
  readonly #records: StoredRecords;
  readonly #connections = new Set<MqttConnection>();

  constructor(parts: MqttParts) {
    const { clock, config } = parts;
    const counts = new MqttCounts();
    const sys = new Sys({
      ...{ clock, counts, intervalMs: config.sysIntervalMs },
      numbers: () => ({
        connected: this.#sessions.connectedCount,
        subscriptions: this.#sessions.subscriptionCount,
      }),
    });
    this.#parts = { ...parts, counts, endings: new EndingLog(parts), sys };
    this.#wills = new Wills(parts);
    this.#records = new StoredRecords(parts);
    this.#sessions = new Sessions(this.#parts, this.#records);
    this.#greeting = new Greeting(this.#parts, this.#sessions, this.#wills);
  }

  /**
   * Takes up what an earlier life of the server left: wills, and sessions that were connected. It is
   * done beside everything else, and takes as long as it takes. To be called when the log is open.
   */
  start(): void {
    // Neither rejects.
    void this.#wills.start();
    void this.#sessions.takeUp();
  }

  /**
   * Begins nothing more by itself. To be called when all connections have ended. Resolves when what
   * their sessions keep is stored.
   */
  async stop(): Promise<void> {
    this.#records.stop();
    this.#wills.stop();
    await this.#sessions.stop();
  }

  /** Connections open now. */
  get connections(): Iterable<MqttConnection> {
    return this.#connections;
  }

  /** What it did and has, for the metrics. */
  get readings(): Readings {
    return {
      ...this.#parts.counts.readings,
      mqttSessions: this.#sessions.connectedCount,
      mqttStoredSessions: this.#sessions.storedCount,
      mqttWillsWaiting: this.#wills.waitingCount,
    };
  }

  /** Begins to speak on a link. */
  open(link: Link, { identity }: MqttOpening = {}): LinkHandler {
    const connection = new MqttConnection(link, {
      ...{ node: this.#parts, greeting: this.#greeting, proved: identity },
      onEnd: this.#forget,
    });
    this.#connections.add(connection);
    connection.begin();
    return connection;
  }

  readonly #forget = (connection: MqttConnection): void => {
    this.#connections.delete(connection);
  };
}
