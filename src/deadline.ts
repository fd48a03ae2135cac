import { godwitError } from './errors.ts';

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
  const own = new AbortController();
  const timer = setTimeout(
    () => own.abort(godwitError('GODWIT_DEADLINE', { what, deadlineMs })),
    deadlineMs,
  );
  const signal = outer === undefined ? own.signal : AbortSignal.any([outer, own.signal]);
  try {
    signal.throwIfAborted();
    return await Promise.race([work(signal), aborted(signal)]);
  } finally {
    clearTimeout(timer);
    // Settles the race's other side, so that no listener outlives the call.
    own.abort();
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  const promise = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
  promise.catch(() => {});
  return promise;
}
