import { systemClock } from '../../../clock.ts';
import type { Balloon } from '../../../drivers/port/balloon.ts';
import { godwitError, toGodwitError } from '../../../errors.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import { isWhole, judgeBalloon, takeOf } from '../../../migration/preflight/balloon.ts';
import { refusal } from '../../../migration/preflight/check.ts';
import type { BalloonTake } from '../../../migration/prediction/ballooned-mix.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { BalloonPolicy } from '../../../protocol/public/balloon.ts';
import type { LookParts, SourceContext } from './source-context.ts';

/** A guest that gives up nothing more for so long has given up what it can, ms. */
const STILL_MS = 5000;
/** Giving up is over by then, ms; less than the step may take. */
const INFLATING_MS = 45_000;
const LOOK_MS = 100;
/** One that gets memory back gets some in this time, ms; and all of it is waited for so long. */
const RISEN_MS = 500;
const RISING_MS = 4000;

/** `--balloon`: what may be taken of the guest, or why nothing can be. No check where it is not asked for. */
export async function lookAtBalloon(
  parts: LookParts,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly NamedCheck[]; readonly take?: BalloonTake }> {
  const { balloon: policy } = parts.state().plan.settings;
  if (policy === undefined) return { checks: [] };
  try {
    const session = await parts.guest.session(signal);
    const balloon = must(session.balloon, policy, session.handle.driver);
    const seen = await balloon.look(signal);
    const look = {
      ...seen,
      actualBytes: await whenFull(balloon, seen.actualBytes, memoryBytes, signal),
    };
    const found = judgeBalloon(policy, look, memoryBytes);
    const takesBytes = takeOf(policy, look, memoryBytes);
    const availableBytes = policy === 'free' ? look.freeBytes : look.availableBytes;
    const take = { takesBytes, availableBytes };
    return { checks: [{ name: 'balloon', side: 'source', ...found }], take };
  } catch (thrown) {
    signal.throwIfAborted();
    return { checks: [refusal('balloon', toGodwitError(thrown))] };
  }
}

/** Takes what may be taken now, which a look before anything was built has shown to be there. May be repeated. */
export async function inflate(parts: SourceContext, signal: AbortSignal): Promise<StepFacts> {
  const { balloon: policy } = parts.state().plan.settings;
  if (policy === undefined) return {};
  const session = await parts.guest.session(signal);
  const balloon = must(session.balloon, policy, session.handle.driver);
  const memoryBytes = allOf(parts);
  const look = await balloon.look(signal);
  const take = takeOf(policy, look, memoryBytes);
  const target = look.actualBytes - take;
  if (take > 0) await balloon.resize(target, signal);
  const actualBytes = await whenStill(balloon, target, signal);
  // It is not to go on looking for what it does not have.
  if (actualBytes > target) await balloon.resize(actualBytes, signal);
  const may = policy === 'free' ? look.freeBytes : look.availableBytes;
  const leftBytes = Math.max(0, may - (look.actualBytes - actualBytes));
  return { balloon: { takenBytes: Math.max(0, memoryBytes - actualBytes), leftBytes } };
}

/** The guest has all of its memory again, or is gone. */
export async function deflate(parts: SourceContext, signal: AbortSignal): Promise<void> {
  const session = await parts.guest.session(signal);
  const { run } = await session.status(signal);
  if (run !== 'gone') await session.balloon?.resize(allOf(parts), signal);
}

/** What the guest has once it gets nothing more back, bytes: a move before this one may have ended a moment ago. */
async function whenFull(
  balloon: Balloon,
  seenBytes: number,
  memoryBytes: number,
  signal: AbortSignal,
): Promise<number> {
  const untilMs = systemClock.monotonicMs() + RISING_MS;
  for (let actual = seenBytes; ;) {
    if (isWhole(actual, memoryBytes) || systemClock.monotonicMs() > untilMs) return actual;
    await systemClock.sleep(RISEN_MS, signal);
    const now = await balloon.actual(signal);
    if (now <= actual) return now;
    actual = now;
  }
}

/** What the guest has once it gives up nothing more, bytes. */
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

/** Nothing was in its balloon when it was looked at first. */
function allOf(parts: SourceContext): number {
  const { description } = parts.state().known;
  if (description !== undefined) return description.memoryBytes;
  throw godwitError('GODWIT_INTERNAL', { what: 'a balloon of a guest that nobody has described' });
}

function must(balloon: Balloon | undefined, policy: BalloonPolicy, driver: string): Balloon {
  if (balloon !== undefined) return balloon;
  const reason = `the driver ${driver} knows no balloons`;
  throw godwitError('GODWIT_CAPABILITY', { what: `--balloon ${policy}`, reason });
}
