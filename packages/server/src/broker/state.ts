/**
 * State: small records beside the streams, on every backplane: sessions, retained values, leases,
 * revocations. Durable as the streams are.
 */

/** A record as it was when it was read. */
export interface StateRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /**
   * Rises with every put of this key, also after it was deleted; compare to write only over what
   * was read.
   */
  readonly version: number;
}

/** The condition under which a put or delete happens. */
export interface StateCondition {
  /** Only over this version; 0 means "only if there is no record". */
  readonly ifVersion?: number;
}

/** What a put may ask for beside its condition. */
export interface StatePut extends StateCondition {
  /** Unix milliseconds after which the record is gone by itself. */
  readonly expiresAt?: number;
}

/**
 * Versioned records by key. Keys are well-formed text of at most 512 bytes, values at most 1 MB;
 * others are a `RangeError`. What was written before a call is seen by it. Calls reject with a
 * `BrokerError` where the log can't be read or written.
 */
export interface StateStore {
  get(key: string): Promise<StateRecord | undefined>;

  /**
   * The value must not be changed before this resolves, and may be afterwards.
   *
   * @returns the new version, or `undefined` when the condition did not hold.
   */
  put(key: string, value: Uint8Array, options?: StatePut): Promise<number | undefined>;

  /** @returns false when there was no record or the condition did not hold. */
  delete(key: string, condition?: StateCondition): Promise<boolean>;

  /**
   * Records whose key begins with `prefix`, after the key `after`, in the order of their code
   * points. A page may hold fewer than asked for, where values are large or many are asked for; an
   * empty one is the end. Each page is as of one moment: what is put or deleted between two of them
   * may be missed, what is there all the time is listed once.
   */
  list(
    prefix: string,
    page: { readonly after?: string; readonly countMax: number },
  ): Promise<readonly StateRecord[]>;
}
