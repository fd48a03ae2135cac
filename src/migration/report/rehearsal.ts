import type { MemorySample } from '../../protocol/public/migration.ts';
import type { Rehearsal } from '../../protocol/public/rehearsal.ts';
import { POSTCOPY_SWITCH_MS, SEVERAL_SWITCH_MS, SWITCH_MS } from '../prediction/parameters.ts';
import type { SourceEvent, SourceState } from '../direct/source/source-state.ts';

/** Results of a rehearsal, from its journal. Pure. */

/** Pause of the guest at its source, wall clock, ms. */
export interface Stand {
  readonly since?: number;
  readonly totalMs?: number;
}

export function standAfter(stand: Stand, event: SourceEvent, at: number): Stand {
  if (event.type !== 'hypervisor') return stand;
  const { since, totalMs = 0 } = stand;
  if (event.event.type === 'stopped') return { ...stand, since: since ?? at };
  if (event.event.type !== 'resumed' || since === undefined) return stand;
  return { totalMs: totalMs + Math.max(0, at - since) };
}

const MAX_MS = 365 * 86_400_000;

/** `sample`: last look at the stream. Undefined if the migration was not a rehearsal. */
export function rehearsalOf(
  { plan, cameTo, known }: Pick<SourceState, 'plan' | 'cameTo' | 'known'>,
  sample: MemorySample | undefined,
  { totalMs }: Stand,
): Rehearsal | undefined {
  const { rehearse, maxDowntimeMs, streams, compress } = plan.settings;
  if (rehearse !== true) return undefined;
  const stoodStill = totalMs === undefined ? {} : { stoodStillMs: totalMs };
  if (cameTo === undefined) return { maxDowntimeMs, ...stoodStill };
  // A rehearsal leaves out work at the switchover, such as CRIU's dump and restore.
  if (known.handsOverMs !== undefined) return { switches: cameTo, maxDowntimeMs, ...stoodStill };
  const several = streams > 1 || compress === 'zstd';
  const precopyMs = several ? SEVERAL_SWITCH_MS : SWITCH_MS;
  const pagesMs = cameTo === 'postcopy' ? 0 : msToSend(sample);
  const devicesMs = cameTo === 'postcopy' ? POSTCOPY_SWITCH_MS : precopyMs;
  const expected =
    pagesMs === undefined ? {} : { expectedDowntimeMs: Math.round(pagesMs + devicesMs) };
  return { switches: cameTo, ...expected, maxDowntimeMs, ...stoodStill };
}

/** Time to send the remainder at the link's rate, ms; undefined if either is unknown. */
function msToSend(sample: MemorySample | undefined): number | undefined {
  if (sample === undefined) return undefined;
  const { remainingBytes, rate, transferredBytes, totalMs } = sample;
  if (remainingBytes === 0) return 0;
  // A stream that ends within its hypervisor's first interval has no rate yet.
  const bytesPerMs = rate > 0 ? rate / 1000 : transferredBytes / Math.max(1, totalMs);
  const sentMs = remainingBytes / bytesPerMs;
  // A link that carried next to nothing gives no estimate.
  return sentMs <= MAX_MS ? sentMs : undefined;
}
