import { useEffect, useState } from 'preact/hooks';
import { asProblem, isUnreachable, type Problem } from './http.ts';
import { connection } from './live.ts';

/** What a page asked for. With both `value` and `problem`, the answer is an earlier one: a newer ask failed. */
export interface LoadState<T> {
  readonly value: T | undefined;
  readonly problem: Problem | undefined;
  readonly again: () => void;
}

/**
 * Asks when the page opens, when one of `inputs` changes and, with `everyMs`, again and again while the page is seen. An
 * answer that is there stays while the next one is on its way.
 */
export function useLoaded<T>(
  fetch: (until: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
  everyMs?: number,
): LoadState<T> {
  const [turn, setTurn] = useState(0);
  const [value, setValue] = useState<T>();
  const [problem, setProblem] = useState<Problem>();
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = async (): Promise<void> => {
      try {
        const found = await fetch(ended.signal);
        setValue(() => found);
        setProblem(undefined);
      } catch (thrown) {
        if (!ended.signal.aborted) setProblem(asProblem(thrown));
      }
      if (everyMs !== undefined && !ended.signal.aborted) timer = setTimeout(onTime, everyMs);
    };
    const onTime = (): void => {
      if (document.visibilityState === 'visible') void next();
      else timer = setTimeout(onTime, everyMs);
    };
    void next();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, [turn, everyMs, ...inputs]);
  const isLive = connection.value.state === 'live';
  useEffect(() => {
    // The controller is back: nobody has to ask again.
    if (isLive && problem !== undefined && isUnreachable(problem)) setTurn((before) => before + 1);
  }, [isLive]);
  return { value, problem, again: () => setTurn((before) => before + 1) };
}
