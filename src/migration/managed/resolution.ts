import type { Answer, RunAtSide } from '../../protocol/public/resolve.ts';
import type { Whereabouts } from './task-sight.ts';

export type ManagerWord = Whereabouts | { readonly why: string };

export interface ManagedSides {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

/**
 * Verdicts on each place where the guest of a held migration may run. The manager decides who runs it; Godwit starts
 * nothing, and only removes what the manager left over.
 */
export function judgeManaged({ guest, from, to }: ManagedSides, word: ManagerWord): Answer[] {
  const answer = (runAt: RunAtSide, verdict: Answer['verdict'], why: string): Answer => {
    const risks = verdict === 'unknown' ? [`If ${guest} runs elsewhere, the record is wrong.`] : [];
    return { runAt, verdict, why, risks, proof: verdict === 'safe' ? 'ask' : 'none' };
  };
  const both = (verdict: Answer['verdict'], why: string): Answer[] => [
    answer('source', verdict, why),
    answer('destination', verdict, why),
  ];
  if ('why' in word) return both('unknown', `its manager does not say: ${word.why}`);
  const { at, busy, second } = word;
  if (busy === true) return both('waits', `its manager says that a task moves ${guest} now`);
  if (at === 'unknown') return both('unknown', `its manager does not know where ${guest} is`);
  if (at === 'elsewhere') {
    return both('wrong', `its manager says that ${guest} is neither at ${from} nor at ${to}`);
  }
  const says = `its manager says that ${guest} is at ${at === 'source' ? from : to}`;
  if (at === 'source' && busy === undefined) {
    return [
      answer('source', 'unknown', `${says}, and not whether a task moves it`),
      answer('destination', 'wrong', says),
    ];
  }
  const other = at === 'source' ? 'destination' : 'source';
  const here = answer(at, 'safe', says);
  const risks =
    second === true
      ? [`A second copy of ${guest} at ${to} is ended; if it ran, what it did is lost.`]
      : here.risks;
  const answers = [{ ...here, risks }, answer(other, 'wrong', says)];
  return at === 'source' ? answers : answers.toReversed();
}
