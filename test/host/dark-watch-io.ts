import type { Clock } from '../../src/clock.ts';
import type { DarkWatchIo } from '../../src/host/watch-dark-host.ts';
import type { OwnLink } from '../../src/network/own-link.ts';
import type { KernelWord } from '../../src/rpc/reach.ts';

export const SILENCE: KernelWord = { what: 'silence', said: 'nothing within 1000 ms' };
export const REFUSED: KernelWord = { what: 'answer', said: 'it refuses connections' };

/** Another host, over the same way. */
export const OTHER = '10.0.0.3:7400';

export interface FakeDarkWatchIo extends DarkWatchIo {
  /** Each question to the host itself: the path and the time, ms. */
  readonly questions: readonly { readonly path: string; readonly atMs: number }[];
}

/**
 * A world in which time passes only as it is waited for. `says`: what the kernel behind a path answers to its nth
 * question; silence takes as long as the question waits. `other`: likewise the kernel of OTHER.
 */
export function fakeDarkWatchIo(
  says: (path: string, nth: number) => KernelWord,
  link: (ip: string) => OwnLink = () => ({ isUp: true, missing: false, route: 'mig0' }),
  other: (nth: number) => KernelWord = () => REFUSED,
): FakeDarkWatchIo {
  let nowMs = 0;
  const questions: { path: string; atMs: number }[] = [];
  const others: { path: string; atMs: number }[] = [];
  // Those who wait are woken in the order of their times.
  const waiting: { readonly atMs: number; readonly wake: () => void }[] = [];
  const turn = (): void => {
    waiting.sort((left, right) => left.atMs - right.atMs);
    const next = waiting.shift();
    if (next === undefined) return;
    nowMs = Math.max(nowMs, next.atMs);
    next.wake();
  };
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      waiting.push({ atMs: nowMs + ms, wake: resolve });
      setImmediate(turn);
    });
  const clock: Clock = { wallMs: () => nowMs, monotonicMs: () => nowMs, sleep };
  return {
    clock,
    questions,
    ask: async (path, timeoutMs, signal) => {
      const asked = path === OTHER ? others : questions;
      const nth = asked.filter((each) => each.path === path).length;
      asked.push({ path, atMs: nowMs });
      const word = path === OTHER ? other(nth) : says(path, nth);
      await sleep(word.what === 'silence' ? timeoutMs : 1, signal);
      return word;
    },
    ownLinkTo: async (address) => link(address),
    openEcho: async () => ({ why: 'no socket for it' }),
    resolve: async (host) => [host],
  };
}
