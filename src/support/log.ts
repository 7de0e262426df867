import { pino, destination } from 'pino';

/** The lines that a snapshot of a node takes along. */
const KEPT_LINES = 400;
const kept: string[] = [];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A constant message and fields; never format into the message. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The last lines that this process has logged, the newest last. */
export function recentLogLines(): readonly string[] {
  return kept;
}

/** JSON lines on standard error, written at once so that nothing is lost when the process is killed. */
export function createLog(component: string, level: LogLevel): Log {
  const stderr = destination({ fd: 2, sync: true });
  const keeping = {
    write(line: string): void {
      kept.push(line);
      if (kept.length > KEPT_LINES) kept.shift();
      stderr.write(line);
    },
  };
  return pino(
    {
      level,
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    keeping,
  );
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
