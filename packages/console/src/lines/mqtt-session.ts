/**
 * MqttSession: what the page knows of its session at the server, over all connections of one line.
 *
 * The name of the client is that of the browser tab. A line begins its session anew, so that a page
 * which is loaded again leaves none behind; what is left of a tab that is closed runs out.
 */

const STORAGE_KEY = 'trunkline.mqtt-client';

/** Where the name of the client is kept, if anywhere. */
export type TabStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** One line's session. */
export class MqttSession {
  readonly #storage: TabStorage | undefined;
  #clientId: string;
  /** True once the server has it, with all that it subscribed to. */
  isKept = false;

  constructor(storage: TabStorage | undefined = tabStorage()) {
    this.#storage = storage;
    this.#clientId = storage?.getItem(STORAGE_KEY) ?? newName();
    this.#store();
  }

  get clientId(): string {
    return this.#clientId;
  }

  /** Another one has the name, as a tab that was duplicated from this one does: takes a new one. */
  rename(): void {
    this.#clientId = newName();
    this.isKept = false;
    this.#store();
  }

  #store(): void {
    try {
      this.#storage?.setItem(STORAGE_KEY, this.#clientId);
    } catch {
      // It is full: the name lives as long as the page.
    }
  }
}

/** The storage of the browser tab; a page may be refused any. */
function tabStorage(): TabStorage | undefined {
  try {
    return globalThis.sessionStorage;
  } catch {
    return undefined;
  }
}

function newName(): string {
  const [number = 0] = crypto.getRandomValues(new BigUint64Array(1));
  return `console-${number.toString(36)}`;
}
