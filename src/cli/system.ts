import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { addAbortSignal } from 'node:stream';
import { systemClock } from '../clock.ts';
import type { Context, InterruptSignal, Output } from './context.ts';

export function systemContext(): Context {
  // A reader that closes the pipe (`godwit guests | head -1`) ends the program quietly.
  process.stdout.on('error', endOnClosedPipe);
  process.stderr.on('error', endOnClosedPipe);
  return {
    out: outputOf(process.stdout),
    err: outputOf(process.stderr),
    env: process.env,
    clock: systemClock,
    connect: async (flags) => (await import('./connection/connect.ts')).connect(flags, process.env),
    onInterrupt: (listener) => {
      for (const signal of SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of SIGNALS) process.off(signal, listener);
      };
    },
    ...(process.stdin.isTTY && process.stderr.isTTY ? { readLine, hiddenLine } : {}),
    firstLine,
    onResize: (listener) => {
      process.stdout.on('resize', listener);
      return () => process.stdout.off('resize', listener);
    },
  };
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const satisfies InterruptSignal[];

/** Without a terminal interface, so that Ctrl-C remains a signal. */
async function readLine(signal: AbortSignal): Promise<string | undefined> {
  process.stdin.ref();
  const lines = createInterface({ input: process.stdin, terminal: false });
  try {
    const [line] = (await once(lines, 'line', { signal })) as [string];
    return line;
  } catch {
    return undefined;
  } finally {
    lines.close();
    // Otherwise the program would wait for another line.
    process.stdin.unref();
  }
}

/** Restores the echo in any case. The question is printed only after echo is off, because people type ahead. */
async function hiddenLine(question: string, signal: AbortSignal): Promise<string | undefined> {
  const echo = (word: 'echo' | '-echo') =>
    spawnSync('stty', [word], { stdio: ['inherit', 'ignore', 'ignore'] });
  const onInterrupt = (): void => {
    echo('echo');
    process.exit(130);
  };
  process.on('SIGINT', onInterrupt);
  echo('-echo');
  try {
    process.stderr.write(question);
    return await readLine(signal);
  } finally {
    echo('echo');
    process.off('SIGINT', onInterrupt);
    process.stderr.write('\n');
  }
}

/** Closes standard input afterwards. */
async function firstLine(most: number, signal: AbortSignal): Promise<string | undefined> {
  let text = '';
  try {
    for await (const chunk of addAbortSignal(signal, process.stdin.setEncoding('utf8'))) {
      text += String(chunk);
      if (text.includes('\n') || text.length >= most) break;
    }
  } catch (thrown) {
    if (signal.aborted) return undefined;
    throw thrown;
  }
  return text.slice(0, most).split('\n', 1)[0];
}

function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  // A closed terminal accepts no output either.
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
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
