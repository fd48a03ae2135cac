import { judgeStart } from '../../../src/migration/permission/permission.ts';
import type { HostAnswer } from '../../../src/migration/permission/host-answer.ts';
import type { SourceRight } from '../../../src/migration/direct/run-right.ts';

/**
 * Whether a source that was not restarted gets permission to run its guest again after everything was handed over.
 * `refused`: the destination's refusal under this epoch is in hand.
 */
export function mayResume(right: SourceRight, refused: boolean): boolean {
  const answers = new Map<string, HostAnswer>(refused ? [['b', { is: 'without' }]] : []);
  const bootId = 'boot-1';
  const claim = { kind: 'take-back', right, handedOver: true, byProof: false, bootId } as const;
  const now = { bootId, uptimeMs: 100_000 };
  const question = { guest: 'web1', now, claim, counterpart: 'b', fleet: ['b', 'c'], answers };
  return judgeStart(question).kind === 'granted';
}
