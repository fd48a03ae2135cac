import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { addAbortSignal } from 'node:stream';
import { systemClock } from '../clock.ts';
import type { Context, InterruptSignal, Output } from './context.ts';

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

/** Not as a terminal of its own: a Ctrl-C meanwhile comes as the signal that it is. */
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
    // Else the program waits for a line that nobody wants.
    process.stdin.unref();
  }
}

/** The terminal shows again what is typed, however this ends. Asked only once it does not: people type ahead. */
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

/** Standard input is closed then: nobody reads it a second time. */
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
  // A terminal that is closed takes nothing either.
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
