/** Clients of MQTT of other makes, as a test sees them: whoever made them, they read and publish alike. */

/** At most once, at least once, exactly once. */
export type Qos = 0 | 1 | 2;

/** 4 is 3.1.1, as its packets say it. */
export type Version = 4 | 5;

/** The properties of 5.0 that a publisher gives a message and its readers get. */
export interface Properties {
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: string;
  readonly messageExpiryInterval?: number;
  readonly userProperties?: readonly (readonly [name: string, value: string])[];
}

/** A message as a client is to publish it. */
export interface Publication {
  readonly topic: string;
  readonly payload: string | Uint8Array;
  /** Default: 1. */
  readonly qos?: Qos;
  readonly retain?: boolean;
  readonly properties?: Properties;
}

/** A message as a client got it. */
export interface Received {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: Properties;
}

/** Whom a client connects to, and as whom. */
export interface Connecting {
  /** `mqtt://…` or `mqtts://…`. */
  readonly url: string;
  readonly version: Version;
  /** Default: one that the client makes up. */
  readonly clientId?: string;
  /** How long its session outlives its connection; in 3.1.1 as long as the server keeps it. */
  readonly expirySeconds?: number;
  readonly user?: string;
  readonly password?: string;
  /** Files in PEM: who signed the server's certificate, and the client's own. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly will?: Publication;
}

/** What a reader subscribes to, in this order. */
export type Filters = Readonly<Record<string, Qos>>;

/** A client that has subscribed, a process of its own. */
export interface MqttReader extends AsyncDisposable {
  /** What it read next. @throws when nothing comes, or the process has ended. */
  next(): Promise<Received>;
  /** Ends it in the words of its make. */
  leave(): Promise<void>;
  /** Ends it as a failure of power does: without a word. */
  kill(): Promise<void>;
  /** From now on it does nothing at all, and its connection stays. */
  freeze(): void;
  /** It goes on. */
  thaw(): void;
}

/** Where a client comes from. */
export interface Make {
  readonly name: string;
  /** Connects and subscribes. @throws when it is refused, with what the client says of it. */
  read(connecting: Connecting, filters: Filters): Promise<MqttReader>;
  /** Publishes over a connection of its own. Resolves when all of it is acknowledged. */
  publish(connecting: Connecting, ...publications: readonly Publication[]): Promise<void>;
}
