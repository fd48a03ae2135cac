import type { Context, Output } from '../src/cli/context.ts';
import { inLocale } from '../src/cli/ascii.ts';
import { connect } from '../src/cli/connection/connect.ts';
import { systemClock } from '../src/clock.ts';

/** Why a demo was broken off from outside; `exit` is the exit code that the shell gets. */
export class Interruption extends Error {
  readonly exit: number;

  constructor(message: string, exit: number) {
    super(message);
    this.exit = exit;
  }
}

/** The demo's surroundings: where text goes, and the signal that ends everything early. */
export interface World {
  /** For people: standard output, or standard error under --json. */
  readonly context: Context;
  readonly signal: AbortSignal;
  /** Takes back the listeners for signals. */
  readonly close: () => void;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Unlike the CLI's own context, nothing here ends the process: a signal or a reader that has gone
 * (`npm run demo | head`) aborts `signal`, and the lab is taken down before the end.
 */
export function openWorld({ json }: { readonly json: boolean }): World {
  const controller = new AbortController();
  const { signal } = controller;
  const names = Object.keys(SIGNALS) as (keyof typeof SIGNALS)[];
  const onSignal = (name: keyof typeof SIGNALS): void => {
    controller.abort(new Interruption(`interrupted by ${name}`, SIGNALS[name]));
  };
  const onLost = (): void => {
    controller.abort(new Interruption('nobody reads the output any more', 141));
  };
  for (const name of names) process.on(name, onSignal);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', onLost);
  const context: Context = inLocale({
    out: outputOf(json ? process.stderr : process.stdout),
    err: outputOf(process.stderr),
    env: process.env,
    clock: systemClock,
    connect: (flags) => connect(flags, process.env),
    onInterrupt(listener) {
      const onAbort = (): void => listener('SIGINT');
      signal.addEventListener('abort', onAbort);
      return () => signal.removeEventListener('abort', onAbort);
    },
    onResize(listener) {
      process.stdout.on('resize', listener);
      return () => process.stdout.off('resize', listener);
    },
  });
  return {
    context,
    signal,
    close() {
      for (const name of names) process.off(name, onSignal);
    },
  };
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY === true,
    columns: () => stream.columns || 80,
    rows: () => stream.rows || 24,
  };
}
