import { phaseOf, type SourceState } from '../../../../migration/direct/source-state.ts';
import { progressOf } from '../../../../migration/report/progress.ts';
import { stillness, stillWords } from '../../../../migration/steering/standstill.ts';
import type { MemorySample, Progress } from '../../../../protocol/public/migration.ts';

/** A look at the stream. `still`: nothing has gone for so long, and so long is waited for; absent while it flows. */
export interface Seen {
  readonly sample: MemorySample;
  readonly still?: { readonly forMs: number; readonly timeoutMs: number | undefined } | undefined;
}

/** The live view's line. `nowMs`: wall clock. */
export function lineOf(
  state: SourceState,
  seen: Seen | undefined,
  { nowMs, elapsedMs, note }: { nowMs: number; elapsedMs: number; note: string | undefined },
): Progress {
  const { settings, to } = state.plan;
  const phase = phaseOf(state);
  // What was seen of the link is of the time in which memory went over it.
  if (phase !== 'memory' && phase !== 'draining') {
    const cut = `the link to ${to} was stalled: ${to} is asked to undo its part`;
    const words = phase === 'undoing' && seen?.still !== undefined ? cut : undefined;
    return progressOf(state, seen?.sample, elapsedMs, note ?? words);
  }
  const overMs = (state.known.beganAtMs ?? nowMs - elapsedMs) + settings.timeoutMs;
  const still = seen?.still && stillness(seen.still, nowMs, overMs);
  const words = still === undefined ? undefined : stillWords(to, still);
  return progressOf(state, seen?.sample, elapsedMs, note ?? words, still);
}

/** The newest figures of a stream that is given up: the journal has those of its last round. */
export function lastLook(seen: Seen | undefined): { sample?: MemorySample } {
  return seen === undefined ? {} : { sample: seen.sample };
}

/** What the error of a timeout shows: the newest figures, which may be newer than those of the journal. */
export function whatTook(seen: Seen | undefined): { sample?: MemorySample; stillMs?: number } {
  if (seen === undefined) return {};
  return { sample: seen.sample, stillMs: Math.round(seen.still?.forMs ?? 0) };
}
