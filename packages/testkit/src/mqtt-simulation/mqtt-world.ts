/**
 * MqttWorld: one site of MQTT servers, its clients and the network between them, moved step by step
 * by chance. A step is one thing that happens to somebody, then a moment in which it takes effect.
 */
import { ManualClock } from '../manual-clock.ts';
import { faulty } from '../memory-link.ts';
import type { MemoryLink } from '../memory-link.ts';
import { seededRandom } from '../random.ts';
import type { SeededRandom } from '../random.ts';
import { MqttClient } from './mqtt-client.ts';
import { happen } from './mqtt-happenings.ts';
import { MqttRecorder } from './mqtt-recorder.ts';
import type { MqttServer, MqttSite, MqttSiteParts } from './mqtt-site.ts';
import { sayingBytes } from './sayings.ts';
import { MQTT_FILTERS, MQTT_FILTERS_APART, traitsOf } from './surroundings.ts';

const CLIENTS = 5;

/** Seconds without faults, in which everyone must arrive; longer than any retry or wait. */
const REST_SECONDS = 40;

/** Longer than a server takes to start or to stop. */
const OPENING_MS = 2_000;

/** Everything of one run. The same seed makes the same world and the same steps. */
export class MqttWorld {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly recorder: MqttRecorder;
  readonly site: MqttSite;
  readonly clients: readonly MqttClient[];
  /** What clients subscribe to. */
  readonly filters: readonly string[];
  /** Links that were given up, and whose server may not know it yet. */
  readonly #left = new Set<MemoryLink>();
  #server: MqttServer | undefined;
  crashes = 0;

  constructor(seed: number, createSite: (parts: MqttSiteParts) => MqttSite, overlapping: boolean) {
    this.filters = overlapping ? MQTT_FILTERS : MQTT_FILTERS_APART;
    this.random = seededRandom(seed);
    this.recorder = new MqttRecorder(this.clock);
    this.clients = Array.from({ length: CLIENTS }, (_, index) => this.#client(index));
    const { clock, recorder } = this;
    this.site = createSite({ clock, random: this.random.fork(), recorder });
  }

  /** The server, while one runs. */
  get server(): MqttServer | undefined {
    return this.#server;
  }

  /** Does one thing, chosen by chance, and lets some time pass. */
  async step(): Promise<void> {
    this.recorder.step += 1;
    await happen(this);
    const passMs = this.random.chance(0.05) ? 2_000 : this.random.integer(30);
    if (this.random.chance(0.7)) await this.clock.pass(passMs);
  }

  /** Starts a process from what the one before has left. */
  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    const opening = this.site.start();
    await this.clock.pass(OPENING_MS);
    this.#server = await opening;
  }

  /** `kill -9`. */
  crash(): void {
    if (this.#server === undefined) return;
    this.#server.kill();
    this.recorder.record({ kind: 'crash' });
    this.crashes += 1;
    this.#loseServer();
  }

  /** An orderly end. */
  async stop(): Promise<void> {
    if (this.#server === undefined) return;
    const stopping = this.#server.stop();
    await this.clock.pass(OPENING_MS);
    if (!(await stopping)) this.recorder.record({ kind: 'crash' });
    this.#loseServer();
  }

  /** A message from another protocol. */
  publish(channel: string, padding: number): void {
    const payload = this.recorder.name('payload-');
    this.recorder.record({
      ...{ kind: 'send', connection: 'http', channel, payload, qos: 2, dup: false },
    });
    this.#server?.publish('http', channel, sayingBytes(payload, padding)).then(
      () => this.recorder.record({ kind: 'acknowledged', payload }),
      () => this.recorder.record({ kind: 'refused', payload, reason: 0x80 }),
    );
  }

  /** A client turns away from its connection, of which the server does not learn. */
  abandon(client: MqttClient): void {
    const { line } = client;
    if (line === undefined) return;
    client.abandon();
    this.#left.add(line.link);
  }

  /** The links of everyone who is connected. */
  links(): MemoryLink[] {
    return this.clients.flatMap(({ line }) => (line === undefined ? [] : [line.link]));
  }

  /** Every fault ends, everyone comes back and has all the time it needs. */
  async rest(): Promise<void> {
    this.recorder.step += 1;
    this.site.heal();
    await this.start();
    for (const link of [...this.links(), ...this.#left]) {
      faulty(link, {});
      link.release();
    }
    for (let second = 0; second < REST_SECONDS; second += 1) {
      for (const client of this.clients) {
        if (this.#server !== undefined) client.connect(this.#server);
        client.cutAfter(Infinity, 'whole');
        client.setLate(false);
      }
      await this.clock.pass(1_000);
    }
    const states = this.clients.map((client) => ({ client, stuck: client.stuck }));
    const resting = states.filter(({ stuck }) => stuck.length === 0);
    this.recorder.record({
      kind: 'rest',
      sessions: resting.flatMap(({ client }) => client.session ?? []),
      stuck: states.flatMap(({ stuck }) => stuck),
    });
  }

  #loseServer(): void {
    this.#server = undefined;
    this.#left.clear();
    for (const client of this.clients) client.loseServer();
  }

  #client(index: number): MqttClient {
    const { recorder, clock, random } = this;
    const mayLose = (channel: string): boolean => this.site.mayLose(channel);
    const traits = traitsOf(random, index, this.filters);
    return new MqttClient(traits, { recorder, clock, mayLose, random: random.fork() });
  }
}
