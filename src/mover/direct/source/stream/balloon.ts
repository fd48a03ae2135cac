import { systemClock } from '../../../../clock.ts';
import type { Balloon } from '../../../../port/balloon.ts';
import { godwitError, toGodwitError } from '../../../../errors.ts';
import type { StepFacts } from '../../../../migration/direct/source/source-state.ts';
import {
  isWhole,
  judgeBalloon,
  takeOf,
  type BalloonLook,
} from '../../../../migration/preflight/balloon.ts';
import { refusal, throwRefusal, type NamedCheck } from '../../../../migration/preflight/check.ts';
import type { BalloonTake } from '../../../../migration/prediction/ballooned-mix.ts';
import type { BalloonPolicy } from '../../../../protocol/public/balloon.ts';
import type { LookDependencies } from '../source-base.ts';
import type { StepContext } from '../ports.ts';

/** A guest that frees nothing for this time has freed all it can, ms. */
const STILL_MS = 5000;
/** Deadline of inflating, ms; less than the step may take. */
const INFLATING_MS = 45_000;
const LOOK_MS = 100;
/** A guest that regains memory shows some in this time, ms, and all of it within the second limit. */
const RISEN_MS = 500;
const RISING_MS = 4000;

/** `--balloon`: memory that may be taken, or the reason for none. No check without the option. */
export async function lookAtBalloon(
  context: LookDependencies,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly NamedCheck[]; readonly take?: BalloonTake }> {
  const { balloon: policy } = context.state().plan.settings;
  if (policy === undefined) return { checks: [] };
  try {
    const session = await context.guest.session(signal);
    const balloon = must(session.balloon, policy, session.handle.driver);
    const seen = await balloon.look(signal);
    const look = { ...seen, actualBytes: await whenFull(balloon, seen, signal) };
    const found = judgeBalloon(policy, look);
    const takesBytes = takeOf(policy, look);
    const availableBytes = policy === 'free' ? look.freeBytes : look.availableBytes;
    const take = { takesBytes, availableBytes };
    return { checks: [{ name: 'balloon', side: 'source', ...found }], take };
  } catch (thrown) {
    signal.throwIfAborted();
    return { checks: [refusal('balloon', toGodwitError(thrown))] };
  }
}

/**
 * Takes the memory that is available now. If another program has taken some since the first look, Godwit could not
 * restore it, so nothing is taken and the move is refused. Repeatable.
 */
export async function inflate(
  { state, record, hypervisor }: StepContext<'hypervisor'>,
  signal: AbortSignal,
): Promise<StepFacts> {
  const { plan, known } = state();
  const { balloon: policy } = plan.settings;
  if (policy === undefined) return {};
  const session = await hypervisor.session(signal);
  const balloon = must(session.balloon, policy, session.handle.driver);
  const look = await balloon.look(signal);
  const { inflatedFrom: before = look.actualBytes } = known;
  if (known.inflatedFrom === undefined) {
    throwRefusal([judgeBalloon(policy, look)]);
    await record({ type: 'inflating', fromBytes: before });
  }
  const take = takeOf(policy, look);
  const target = look.actualBytes - take;
  if (take > 0) await balloon.resize(target, signal);
  const actualBytes = await whenStill(balloon, target, signal);
  // Stops the guest from searching for memory that it does not have.
  if (actualBytes > target) await balloon.resize(actualBytes, signal);
  const may = policy === 'free' ? look.freeBytes : look.availableBytes;
  const leftBytes = Math.max(0, may - (look.actualBytes - actualBytes));
  return { balloon: { takenBytes: Math.max(0, before - actualBytes), leftBytes } };
}

/** The guest has its memory back, or is gone. */
export async function deflate(
  { state, hypervisor }: StepContext<'hypervisor'>,
  signal: AbortSignal,
): Promise<void> {
  const { inflatedFrom, balloon: taken } = state().known;
  if (inflatedFrom === undefined && taken === undefined) return;
  const session = await hypervisor.session(signal);
  const { balloon } = session;
  if (balloon === undefined || (await session.status(signal)).run === 'gone') return;
  // A mover of the previous build only recorded the amount taken.
  const before = inflatedFrom ?? (await balloon.look(signal)).wholeBytes;
  await balloon.resize(before, signal);
}

/** Memory once it no longer grows, bytes; an earlier move may just have ended. */
async function whenFull(
  balloon: Balloon,
  { actualBytes, wholeBytes }: BalloonLook,
  signal: AbortSignal,
): Promise<number> {
  const untilMs = systemClock.monotonicMs() + RISING_MS;
  for (let actual = actualBytes; ;) {
    const isOver = systemClock.monotonicMs() > untilMs;
    if (isOver || isWhole({ actualBytes: actual, wholeBytes })) return actual;
    await systemClock.sleep(RISEN_MS, signal);
    const now = await balloon.actual(signal);
    if (now <= actual) return now;
    actual = now;
  }
}

async function whenStill(balloon: Balloon, target: number, signal: AbortSignal): Promise<number> {
  const until = systemClock.monotonicMs() + INFLATING_MS;
  let least = Infinity;
  let leastAtMs = systemClock.monotonicMs();
  for (;;) {
    const actual = await balloon.actual(signal);
    const nowMs = systemClock.monotonicMs();
    if (actual < least) [least, leastAtMs] = [actual, nowMs];
    if (actual <= target || nowMs - leastAtMs > STILL_MS || nowMs > until) return actual;
    await systemClock.sleep(LOOK_MS, signal);
  }
}

function must(balloon: Balloon | undefined, policy: BalloonPolicy, driver: string): Balloon {
  if (balloon !== undefined) return balloon;
  const reason = `the driver ${driver} knows no balloons`;
  throw godwitError('GODWIT_CAPABILITY', { what: `--balloon ${policy}`, reason });
}
