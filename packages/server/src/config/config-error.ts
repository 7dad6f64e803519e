/** ConfigError: what is wrong with a configuration, one line a fault. */

/** The configuration can't be used; each fault says what and where. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[], cause?: unknown) {
    super(faults.join('\n'), cause === undefined ? undefined : { cause });
    this.faults = faults;
  }
}
