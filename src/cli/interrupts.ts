import { constants } from 'node:os';
import { toGodwitError } from '../errors.ts';
import type { Context, InterruptSignal } from './context.ts';

export interface WatchControls {
  /** The consequence of cancelling; absent if it cannot be cancelled from here. */
  readonly cancelled?: string;
  readonly cancel?: () => Promise<string>;
  readonly say: (line: string) => void;
  /** Stops drawing while a question is open. */
  readonly rest: (isAsking: boolean) => void;
  readonly leave: () => void;
}

export interface Interrupts {
  readonly left: InterruptSignal | undefined;
  readonly isCancelling: boolean;
  stop(): void;
}

/**
 * Handles signals during a live view. A signal detaches, and the work continues. On a terminal Ctrl-C asks first; a
 * second one cancels nothing: before an answer it detaches, after a cancel it ends the view.
 */
export function mindInterrupts(context: Context, watched: WatchControls): Interrupts {
  const over = new AbortController();
  const done = { left: undefined as InterruptSignal | undefined, isCancelling: false };
  let isAsking = false;
  const leave = (signal: InterruptSignal): void => {
    done.left = signal;
    watched.leave();
  };
  const cancel = (): void => {
    done.isCancelling = true;
    watched.cancel?.().then(
      (what) => watched.say(`cancel: ${what}`),
      (error: unknown) => {
        done.isCancelling = false;
        watched.say(toGodwitError(error).message);
      },
    );
  };
  const ask = async (): Promise<void> => {
    isAsking = true;
    watched.rest(true);
    context.err.write(
      `It goes on meanwhile. c: cancel it (${watched.cancelled ?? ''}); d, or Ctrl-C again: detach, it goes on by itself; Enter: watch on. `,
    );
    const answer = (await context.readLine?.(over.signal))?.trim().toLowerCase();
    isAsking = false;
    watched.rest(false);
    if (over.signal.aborted) return;
    if (answer === 'c') cancel();
    else if (answer === 'd' || answer === undefined) leave('SIGINT');
  };
  const stop = context.onInterrupt((signal) => {
    const mayAsk = context.readLine !== undefined && watched.cancel !== undefined;
    if (signal === 'SIGINT' && mayAsk && !isAsking && !done.isCancelling) void ask();
    else leave(signal);
  });
  return {
    get left() {
      return done.left;
    },
    get isCancelling() {
      return done.isCancelling;
    },
    stop: () => {
      stop();
      over.abort();
    },
  };
}

/** Shells' exit code for a signal: 128 plus its number. */
export function exitOfSignal(signal: InterruptSignal): number {
  return 128 + constants.signals[signal];
}

export function leftWords(what: string, id: string, isCancelling: boolean): string {
  return isCancelling
    ? `Stopped watching: the cancel that was asked for goes on. \`godwit watch ${id}\` follows it.\n`
    : `Detached: the ${what} goes on by itself. \`godwit watch ${id}\` follows it, \`godwit cancel ${id}\` cancels it.\n`;
}
