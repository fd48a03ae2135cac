import type { ShapeExpectation } from './shape.ts';
import type { TrialObservation } from './trial.ts';

/** What a trial came to. `broken`: not what the table says; `lost`: it moved, and is not what it was. */
export type Outcome =
  | { readonly is: 'moved' | 'refused' }
  | { readonly is: 'broken' | 'lost'; readonly why: string };

/** Holds what happened against what was expected. Pure. */
export function outcomeOf(expected: ShapeExpectation, happened: TrialObservation): Outcome {
  if (happened.is === 'refused') {
    const reported = `refused with ${happened.codes.join(', ')}: ${happened.messages.join('; ')}`;
    if (expected.is !== 'refused') return { is: 'broken', why: reported };
    const { code, says } = expected;
    const isSo = happened.codes.includes(code) && happened.messages.join('\n').includes(says);
    return isSo
      ? { is: 'refused' }
      : { is: 'broken', why: `expected ${code} (${says}), ${reported}` };
  }
  if (happened.lost.length > 0) return { is: 'lost', why: happened.lost.slice(0, 20).join('\n') };
  if (expected.is === 'refused') {
    return { is: 'broken', why: `expected ${expected.code}, and it moved` };
  }
  const foreseen = expected.is === 'warned' ? expected.of : [];
  const all = happened.warnings.join('\n');
  const missing = foreseen.find((words) => !all.includes(words));
  if (missing !== undefined) return { is: 'lost', why: `nothing warns of ${missing}` };
  const other = happened.warnings.find((each) => !foreseen.some((words) => each.includes(words)));
  return other === undefined ? { is: 'moved' } : { is: 'lost', why: `warned of: ${other}` };
}
