/** The way of a migration, as far as it is gone. Pure. */
import { isEnd } from '../../../src/protocol/public/end-phases.ts';
import type { Mode, Phase } from '../../../src/protocol/public/migration.ts';

export interface Step {
  readonly phase: Phase;
  readonly state: 'gone' | 'now' | 'ahead';
  /** How long it took; of what is over. */
  readonly ms?: number;
}

const USUAL = [
  'checking',
  'preparing',
  'memory',
  'switchover',
  'handover',
  'verifying',
  'cleanup',
] as const;
/** In the order in which a migration may come by. */
const ALL: readonly Phase[] = [
  'planned',
  'checking',
  'seeding',
  'preparing',
  'disks',
  'memory',
  'switchover',
  'handover',
  'draining',
  'verifying',
  'cleanup',
];

/** What is gone, what is now and what is ahead; what only some migrations have is named once it is known to be one. */
export function stepsOf({
  now,
  mode,
  gone,
}: {
  readonly now: Phase;
  readonly mode: Mode;
  readonly gone: readonly { readonly phase: Phase; readonly ms: number }[];
}): readonly Step[] {
  const at = ALL.indexOf(now);
  const tookMs = new Map<Phase, number>();
  for (const { phase, ms } of gone) tookMs.set(phase, (tookMs.get(phase) ?? 0) + ms);
  const named = new Set<Phase>([...USUAL, ...tookMs.keys(), ...(at > 0 ? [now] : [])]);
  if (mode === 'postcopy') named.add('draining');
  const steps = ALL.filter((phase) => named.has(phase)).map((phase): Step => {
    const ms = tookMs.get(phase);
    if (phase === now) return { phase, state: 'now' };
    const isGone = at === -1 ? ms !== undefined : ALL.indexOf(phase) < at;
    if (!isGone) return { phase, state: 'ahead' };
    return ms === undefined ? { phase, state: 'gone' } : { phase, state: 'gone', ms };
  });
  // What is undone goes none of the way that is left.
  if (at === -1 && !isEnd(now))
    return [...steps.filter(({ state }) => state === 'gone'), { phase: now, state: 'now' }];
  return steps;
}
