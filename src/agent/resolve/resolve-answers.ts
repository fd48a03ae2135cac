import { godwitError } from '../../errors.ts';
import type {
  Answer,
  HostDoubts,
  Resolution,
  ResolveRequest,
  RunAt,
} from '../../protocol/public/resolve.ts';

export interface OperatorOrder {
  readonly id: string;
  readonly by: string;
  /** Aborts when the operator's program is gone; the order then does not begin. */
  readonly signal: AbortSignal;
  readonly inTurn: <T>(job: () => Promise<T>) => Promise<T>;
}

export const OUTDATED = 'its journal has changed since the hosts were asked. Look again';

export function confirmed(known: Resolution, { confirm, runAt }: ResolveRequest): Answer {
  if (confirm !== known.guest) {
    const what = `"${confirm.slice(0, 80)}" is not the name of the guest of ${known.id}`;
    throw godwitError('GODWIT_USAGE', { what }, { hint: `Its name is ${known.guest}.` });
  }
  const answer = known.answers.find((each) => each.runAt === runAt);
  if (answer !== undefined && answer.verdict !== 'wrong') return answer;
  throw refusal(known, runAt, answer?.why ?? 'nothing is known');
}

/** The refusal of a request of the other host, which cannot insist; an operator does that at the source. */
export function notSafe(known: Resolution, runAt: RunAt, answer: Answer | undefined): Error {
  const why = [answer?.why ?? 'nothing is known', ...(answer?.risks ?? [])].join('; ');
  return refusal(known, runAt, `${why}. Decide at ${known.from}: \`godwit resolve ${known.id}\``);
}

export function refusal(
  { id, guest }: Pick<Resolution, 'id' | 'guest'>,
  runAt: RunAt,
  reason: string,
): Error {
  return godwitError('GODWIT_RESOLVE_REFUSED', { id, guest, runAt, reason });
}

/**
 * The doubts that an insisting operator answers for. A refusal if a host reports something that the operator was not
 * shown.
 */
export function answeredDoubts(
  known: Resolution,
  { answersFor = [], runAt }: ResolveRequest,
  inDoubt: readonly HostDoubts[],
): HostDoubts[] {
  const shown = new Map(answersFor.map(({ host, doubts }) => [host, doubts]));
  for (const { host, doubts } of inDoubt) {
    const unseen = doubts.find((doubt) => shown.get(host)?.includes(doubt) !== true);
    if (unseen === undefined) continue;
    throw refusal(
      known,
      runAt,
      `${host} was not answered for as it is now (${unseen}). Look again`,
    );
  }
  if (inDoubt.length <= MAX_ANSWERED) return [...inDoubt];
  throw refusal(known, runAt, `${inDoubt.length} hosts would have to be answered for`);
}

const MAX_ANSWERED = 1024;
