/** Other hosts try to start a guest whose host may be dead, as a controller has them do it. */
import { systemClock } from '../../src/clock.ts';
import { toGodwitError } from '../../src/errors.ts';
import type { Stage } from '../stage.ts';
import type { Witness } from '../witness.ts';

/** One host that was asked to start the guest, and what became of it: an outcome, or the code of a refusal. */
export interface Attempt {
  readonly host: string;
  readonly id: string;
  readonly outcome: string;
  readonly why?: string | undefined;
}

export interface RecoveryOrder {
  readonly guest: string;
  /** The host that had it, and further ones that are dead. */
  readonly from: string;
  readonly off?: readonly string[];
  /** Who is asked, in turns. */
  readonly at: readonly string[];
  readonly withinMs: number;
  readonly signal?: AbortSignal;
}

const POLL_MS = 100;
const PAUSE_MS = 500;
/** One start takes its time to build the guest, to call the hook and to ask the other hosts. */
const ATTEMPT_MS = 60_000;
let count = 0;

/** Until one has started it, or a copy of it runs elsewhere and at least one host has refused because of that, or the time is over. */
export async function recoverInTurns(
  stage: Stage,
  order: RecoveryOrder,
  witness: Witness,
): Promise<Attempt[]> {
  const attempts: Attempt[] = [];
  const start = systemClock.monotonicMs();
  const isLate = (): boolean => systemClock.monotonicMs() - start > order.withinMs;
  for (let turn = 0; order.signal?.aborted !== true; turn += 1) {
    const host = order.at[turn % order.at.length] ?? '';
    const ranBefore = witness.runningOn().length > 0;
    const attempt = await recoverOnce(stage, host, order);
    attempts.push(attempt);
    const isSettled = attempt.outcome === 'done' || (ranBefore && turn + 1 >= order.at.length);
    if (isSettled || isLate()) break;
    await systemClock.sleep(PAUSE_MS);
  }
  return attempts;
}

export async function recoverOnce(
  stage: Stage,
  host: string,
  { guest, from, off = [] }: Pick<RecoveryOrder, 'guest' | 'from' | 'off'>,
): Promise<Attempt> {
  count += 1;
  const id = `m-recover${count}x${process.pid.toString(36)}`;
  const body = { guest, from, off: [...off] };
  try {
    await stage.agent(host).putRecovery({ params: { id }, body }, { deadlineMs: 20_000 });
  } catch (thrown) {
    const { code, message } = toGodwitError(thrown);
    return { host, id, outcome: code, why: message };
  }
  const start = systemClock.monotonicMs();
  while (systemClock.monotonicMs() - start < ATTEMPT_MS) {
    const report = await stage
      .agent(host)
      .report({ params: { id } }, { deadlineMs: 5000 })
      .catch(() => undefined);
    if (report !== undefined && report.outcome !== 'running') {
      return { host, id, outcome: report.outcome, why: report.error?.message };
    }
    await systemClock.sleep(POLL_MS);
  }
  return { host, id, outcome: 'running' };
}
