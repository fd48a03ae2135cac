import { defined } from './protocol/defined.ts';

/** Where a process of Godwit logs what it does: one JSON object a line. Never give it keys, tokens or bodies. */
export interface Log {
  debug(facts: LogFacts, text: string): void;
  info(facts: LogFacts, text: string): void;
  warn(facts: LogFacts, text: string): void;
  error(facts: LogFacts, text: string): void;
  /** A log whose lines all carry `facts`. */
  child(facts: LogFacts): Log;
}

export type LogFacts = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export const silentLog: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLog,
};

/** The same lines as `openLog` writes, without loading a library: for a mover, which must stay small. */
export function plainLog(
  write: (line: string) => void,
  level: LogLevel = 'info',
  base: LogFacts = {},
): Log {
  const line = (of: LogLevel, facts: LogFacts, text: string): void => {
    if (LEVELS.indexOf(of) < LEVELS.indexOf(level)) return;
    const time = new Date().toISOString();
    write(`${JSON.stringify({ level: of, time, ...base, ...facts, msg: text }, plainErrors)}\n`);
  };
  return {
    debug: (facts, text) => line('debug', facts, text),
    info: (facts, text) => line('info', facts, text),
    warn: (facts, text) => line('warn', facts, text),
    error: (facts, text) => line('error', facts, text),
    child: (facts) => plainLog(write, level, { ...base, ...facts }),
  };
}

/** A log of pino's, on standard error. Its level may be set at any time; children have the one of when they were made. */
export async function openLog(level: LogLevel, base: LogFacts): Promise<Log & { level: string }> {
  const { pino, stdTimeFunctions, stdSerializers } = await import('pino');
  const log: Log & { level: string } = pino(
    {
      level,
      base,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: stdSerializers.err },
    },
    pino.destination({ fd: 2, sync: true }),
  );
  return log;
}

function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  return { type: name, message, stack, ...defined({ cause }) };
}
