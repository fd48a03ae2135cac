import type { MoveSight } from './disk-move.ts';
import type { DiskMoveAnswer } from '../protocol/public/disk-move.ts';

/** Observation of a disk move with an unreadable journal. The hypervisor's report counts instead. */
export type HeldMoveSight =
  | { readonly kind: 'seen'; readonly on: MoveSight['on']; readonly job: MoveSight['job'] }
  | { readonly kind: 'gone' }
  | { readonly kind: 'silent'; readonly why: string }
  /**
   * No file of the move is readable, so it may concern any guest. `busy`: guests whose hypervisor copies a disk.
   * `silent`: guests whose hypervisor did not answer.
   */
  | {
      readonly kind: 'nameless';
      readonly busy: readonly string[];
      readonly silent: readonly string[];
    };

const OVER: ReadonlySet<MoveSight['job']> = new Set(['none', 'ended', 'failed']);
const SHOWN = 8;
type Verdicts = readonly [old: DiskMoveAnswer['verdict'], fresh: DiskMoveAnswer['verdict']];

/**
 * Verdicts on an operator's two answers: the guest's disk is the old image (`source`) or the new one (`destination`).
 * Accepting one sets the record aside and changes no image. Pure.
 */
export function judgeHeldMove(sight: HeldMoveSight): DiskMoveAnswer[] {
  const { verdicts, why } = judged(sight);
  const [old, fresh] = verdicts;
  return [
    { runAt: 'source', verdict: old, why },
    { runAt: 'destination', verdict: fresh, why },
  ];
}

function judged(sight: HeldMoveSight): { readonly verdicts: Verdicts; readonly why: string } {
  switch (sight.kind) {
    case 'gone':
      return both('risky', 'its hypervisor has ended, and cannot report which image is the disk');
    case 'silent':
      return both('waits', `its hypervisor gives no answer, and may still copy: ${sight.why}`);
    case 'nameless': {
      const { busy, silent } = sight;
      if (busy.length > 0) {
        return both('waits', `it may be the move of a guest whose disk is copied: ${listed(busy)}`);
      }
      const unasked = silent.length === 0 ? '' : `; these gave no answer: ${listed(silent)}`;
      return both('risky', `no file names its guest, and no hypervisor copies a disk${unasked}`);
    }
    case 'seen':
      return judgedBySight(sight);
  }
}

function judgedBySight({ on, job }: Extract<HeldMoveSight, { kind: 'seen' }>) {
  if (!OVER.has(job)) return both('waits', `its hypervisor still has the job of the move (${job})`);
  switch (on) {
    case 'old':
      return { verdicts: ['safe', 'wrong'], why: 'its hypervisor uses the old image' } as const;
    case 'new':
      return { verdicts: ['wrong', 'safe'], why: 'its hypervisor uses the new image' } as const;
    case 'neither':
      return both('risky', 'its hypervisor uses neither image: another program changed the disk');
  }
}

const both = (verdict: DiskMoveAnswer['verdict'], why: string) => ({
  verdicts: [verdict, verdict] as const,
  why,
});

function listed(guests: readonly string[]): string {
  const more = guests.length > SHOWN ? ` and ${guests.length - SHOWN} more` : '';
  return `${guests.slice(0, SHOWN).join(', ')}${more}`;
}
