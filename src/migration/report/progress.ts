import { defined } from '../../protocol/defined.ts';
import type { DiskProgress } from '../../protocol/disk.ts';
import {
  isEnd,
  type MemorySample,
  type Phase,
  type Progress,
} from '../../protocol/public/migration.ts';
import { waitWords } from '../waits.ts';
import { phaseOf, type SourceState } from '../direct/source/source-state.ts';
import { cappedWords } from './decision.ts';

/** Line of the live view, with the newest sample (which is not journaled). */
export function progressOf(
  state: SourceState,
  sample: MemorySample | undefined,
  elapsedMs: number,
  note?: string,
  still?: Progress['still'],
): Progress {
  const phase = phaseOf(state);
  const { id, guest, from, to, settings } = state.plan;
  const seen = sampleNow(phase, sample, state.sample, still !== undefined);
  const pace = phase === 'disks' ? state.diskPace : undefined;
  const memoryEta = seen === undefined || isEnd(phase) ? undefined : etaMs(seen, phase);
  const eta = phase === 'disks' ? pace?.etaMs : memoryEta;
  return {
    id,
    guest,
    from,
    to,
    mode: settings.mode,
    phase,
    elapsedMs,
    percent: percentIn(phase, state, seen),
    ...defined({ etaMs: eta, sample: seen }),
    ...(state.disks === undefined ? {} : { disks: [...state.disks] }),
    ...defined({ diskPace: pace, still }),
    ...noteOf(note, phase, state),
    ...defined({ error: state.because }),
  };
}

const SENDING: ReadonlySet<Phase> = new Set(['seeding', 'disks', 'memory', 'draining']);

/** While memory moves, the last decision if there is no other note, and a cap for the time of day. */
function noteOf(
  note: string | undefined,
  phase: Phase,
  { steering, plan, capped }: SourceState,
): Pick<Progress, 'note'> {
  if (note !== undefined) return { note };
  if (phase === 'planned') return { note: waitWords(plan.settings) };
  const { now: bytesPerS = 0 } = capped ?? {};
  const cap = bytesPerS > 0 && SENDING.has(phase) ? [cappedWords(bytesPerS, plan.from)] : [];
  const words = [phase === 'memory' ? (steering?.last ?? []) : [], cap];
  const said = words.flat().join('; ');
  return said === '' ? {} : { note: said };
}

/** Current sample. Rates are only valid for a flowing stream; after a failure the sample is dropped. */
function sampleNow(
  phase: Phase,
  asked: MemorySample | undefined,
  journaled: MemorySample | undefined,
  isStill: boolean,
): MemorySample | undefined {
  if (phase === 'undoing' || (isEnd(phase) && phase !== 'done')) return undefined;
  const isFlowing = (phase === 'memory' || phase === 'draining') && !isStill;
  if (asked !== undefined && isFlowing) return asked;
  const seen = asked ?? journaled;
  if (seen === undefined) return undefined;
  const { expectedDowntimeMs: _, ...counted } = seen;
  return { ...counted, rate: 0, dirtyRate: 0 };
}

function percentIn(phase: Phase, { disks }: SourceState, sample: MemorySample | undefined): number {
  if (phase === 'done') return 100;
  const copies = phase === 'disks' || phase === 'seeding';
  return copies ? percentCopied(disks ?? []) : percentOf(sample);
}

function percentCopied(disks: readonly DiskProgress[]): number {
  const total = disks.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  const copied = disks.reduce((sum, { copiedBytes }) => sum + copiedBytes, 0);
  return total === 0 ? 0 : Math.min(100, Math.round((copied / total) * 1000) / 10);
}

export function percentOf(sample: MemorySample | undefined): number {
  if (sample === undefined || sample.totalBytes === 0) return 0;
  const share = 1 - sample.remainingBytes / sample.totalBytes;
  return Math.min(100, Math.max(0, Math.round(share * 1000) / 10));
}

/** Longer than any migration may take, ms. */
const NEVER_MS = 86_400_000;

/** Time until nothing is left at the current rates, ms; undefined if unknown or never. */
export function etaMs(sample: MemorySample, phase: Phase): number | undefined {
  // In post-copy the guest does not dirty the rest.
  const dirtying = phase !== 'draining' && sample.round > 1;
  const net = sample.rate - (dirtying ? sample.dirtyRate : 0);
  if (sample.rate === 0 || net <= 0) return undefined;
  const eta = Math.round((sample.remainingBytes / net) * 1000);
  return eta > NEVER_MS ? undefined : eta;
}

/** True while the guest is paused or was just resumed: the most urgent time. */
export function isBlackout({ doing, stopped }: SourceState): boolean {
  if (doing.kind !== 'do' || !stopped) return false;
  return ['memory', 'switchover', 'commit', 'verify'].includes(doing.step);
}
