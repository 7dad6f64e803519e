/** Log: what an operator reads. Structured; one line an event; never payloads or tokens. */

export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}

/** What a line says beside its message, by name. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Says nothing; for tests and embedding. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
