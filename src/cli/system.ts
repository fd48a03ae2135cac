import { systemClock } from '../clock.ts';
import type { Context, Output } from './context.ts';

/** The world as the real program sees it. */
export function systemContext(): Context {
  // A reader that goes away (`godwit guests | head -1`) ends the program, quietly.
  process.stdout.on('error', endOnClosedPipe);
  process.stderr.on('error', endOnClosedPipe);
  return {
    out: outputOf(process.stdout),
    err: outputOf(process.stderr),
    env: process.env,
    clock: systemClock,
    connect: async (flags) => (await import('./connect.ts')).connect(flags, process.env),
    onInterrupt: (listener) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, listener);
      return () => {
        for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, listener);
      };
    },
    onResize: (listener) => {
      process.stdout.on('resize', listener);
      return () => process.stdout.off('resize', listener);
    },
  };
}

function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY === true,
    columns: () => stream.columns || 80,
    rows: () => stream.rows || 24,
  };
}
