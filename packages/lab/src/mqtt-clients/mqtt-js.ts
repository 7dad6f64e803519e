/** MqttJs: MQTT.js in this process, as an application has it. It comes back by itself. */
import mqtt from 'mqtt';
import type { IClientOptions, IConnackPacket, IDisconnectPacket, IPublishPacket } from 'mqtt';
import { Queue, within } from '../queue.ts';

/** A message that it was given. */
export interface Message {
  readonly topic: string;
  readonly text: string;
  readonly packet: IPublishPacket;
}

/** How often it tries to come back. */
const RECONNECT_MS = 50;

export class MqttJs implements AsyncDisposable {
  readonly client: mqtt.MqttClient;
  /** One for each time that it was connected. */
  readonly connacks = new Queue<IConnackPacket>('an MQTT connection');
  readonly messages = new Queue<Message>('a message to MQTT.js');
  readonly disconnects = new Queue<IDisconnectPacket>('a DISCONNECT to MQTT.js');
  readonly closes = new Queue<undefined>('the end of a connection of MQTT.js');
  readonly errors: Error[] = [];

  private constructor(url: string, options: IClientOptions) {
    this.client = mqtt.connect(url, {
      reconnectPeriod: RECONNECT_MS,
      protocolVersion: 5,
      // What it subscribed to is in its session.
      resubscribe: false,
      ...options,
    });
    this.client.on('connect', (connack) => this.connacks.push(connack));
    this.client.on('message', (topic, payload, packet) => {
      this.messages.push({ topic, text: payload.toString(), packet });
    });
    this.client.on('disconnect', (packet) => this.disconnects.push(packet));
    this.client.on('close', () => this.closes.push(undefined));
    // A server that is away is what these tests are about.
    this.client.on('error', (error) => this.errors.push(error));
  }

  /** Begins to connect, and tries until it is. */
  static begin(url: string, options: IClientOptions = {}): MqttJs {
    return new MqttJs(url, options);
  }

  /** Resolves when it is connected. */
  static async open(url: string, options: IClientOptions = {}): Promise<MqttJs> {
    const one = new MqttJs(url, options);
    try {
      await one.connacks.next();
    } catch (error) {
      await one[Symbol.asyncDispose]();
      throw new Error(`not connected: ${one.errors.join('; ')}`, { cause: error });
    }
    return one;
  }

  /** Publishes. Resolves when it is acknowledged, over however many connections. */
  async publish(
    topic: string,
    payload: string | Buffer,
    options: mqtt.IClientPublishOptions = { qos: 1 },
  ): Promise<void> {
    await within(this.client.publishAsync(topic, payload, options), `the answer to ${topic}`);
  }

  /** Subscribes. @throws when a filter is refused. */
  async subscribe(filter: string, options: mqtt.IClientSubscribeOptions): Promise<void> {
    await within(this.client.subscribeAsync(filter, options), `the answer to ${filter}`);
  }

  /** Says goodbye, and keeps its session where it has one. */
  async leave(): Promise<void> {
    await within(this.client.endAsync(), 'the end of MQTT.js');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.client.disconnected || this.client.reconnecting) await this.client.endAsync(true);
    else this.client.end(true);
  }
}
