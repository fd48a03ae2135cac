import { godwitError } from './errors.ts';

/** Why a signal aborts whose work has ended. Made once: to make one for each call takes longer than most calls. */
const OVER = new DOMException('what this signal was for has ended', 'AbortError');

/**
 * Runs `work` with a signal that aborts after `deadlineMs`, or when `outer` does.
 * Rejects with GODWIT_DEADLINE (naming `what`) when time is up, with the outer signal's reason when that aborts;
 * `work` is expected to stop on the signal, but its caller does not wait for that.
 */
export async function withDeadline<T>(
  what: string,
  deadlineMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted();
  const own = new AbortController();
  const over = Promise.withResolvers<never>();
  // Where the work itself throws at once, nobody waits for it.
  over.promise.catch(() => {});
  const end = (reason: unknown): void => {
    // First: work that ends on the signal must not be heard before the reason.
    over.reject(reason);
    own.abort(reason);
  };
  const onOuter = (): void => end(outer?.reason);
  const timer = setTimeout(
    () => end(godwitError('GODWIT_DEADLINE', { what, deadlineMs })),
    deadlineMs,
  );
  outer?.addEventListener('abort', onOuter, { once: true });
  try {
    return await Promise.race([work(own.signal), over.promise]);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener('abort', onOuter);
    // What the work began on the signal ends with the work.
    own.abort(OVER);
  }
}
