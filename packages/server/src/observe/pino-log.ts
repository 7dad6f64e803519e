/** PinoLog: the log as JSON lines on standard error, where service managers collect it. */
import { destination, pino } from 'pino';
import type { Log } from './log.ts';

/** The least severe lines that are written. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Writes to standard error; standard output belongs to the command. */
export function createPinoLog(level: LogLevel, node: string): Log {
  return pino(
    { level, base: { node }, serializers: { error: pino.stdSerializers.err } },
    destination({ fd: 2, sync: false }),
  );
}
