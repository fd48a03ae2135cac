import type { ManagedContext } from './context.ts';
import type { Clock } from '../../clock.ts';
import { godwitError, hasCode, toGodwitError, type GodwitError } from '../../errors.ts';
import {
  MAX_FOUND,
  type ManagedEvent,
  type ManagedFacts,
  type StepName,
  managedFacts,
} from '../../migration/managed/events.ts';
import { UNDO_MS, type UndoneStep } from '../../migration/managed/lifecycle.ts';
import { MAX_CHECKS, type Check } from '../../protocol/public/migration.ts';
import { neverMeasured, rateOf, waitToBegin, type WaitResult } from '../shared/beginning.ts';
import { checkMove, inspect } from './examine.ts';
import { reporter } from './task-reporter.ts';
import { assertUnchanged, changeBehind, GuestChangeLook, namingChanges } from './guest-changes.ts';
import { TaskSteering } from './task-steering.ts';
import { whatIsWrong } from '../../protocol/errors.ts';
import { refuseOn } from '../engine/refused-by-checks.ts';

/** Waits until the migration may begin. The manager is only asked for the guest's write rate. */
function waitForManaged(context: ManagedContext, signal: AbortSignal): Promise<WaitResult> {
  const { config, clock, driver, askedAtMs, state, ask } = context;
  const { id, guest, from, to, settings } = state().plan;
  const facts = { migration: id, guest, from, to, mode: settings.mode, networks: [], ports: {} };
  const beginning = {
    config,
    clock,
    guest,
    settings,
    askedAtMs,
    facts: () => facts,
    dirtyRate: async (within: AbortSignal) => {
      if (driver.capabilities.measures !== true) throw neverMeasured(driver.name);
      const measure = () =>
        ask(async (session, inner) => {
          if (session.measure === undefined) throw neverMeasured(driver.name);
          return session.measure(inner);
        }, within);
      return rateOf(measure, within);
    },
  };
  return waitToBegin(beginning, signal);
}

const LOOK_MS = 500;
/** Same if the manager reports each change. */
const CHANGED_MS = 100;
const END_AGAIN_MS = 5000;
const UNDO_AGAIN_MS = 2000;

type Do = (context: ManagedContext, signal: AbortSignal) => Promise<ManagedFacts | undefined>;
/** Resolves with a note for the operator, if any. */
type Undo = (context: ManagedContext, signal: AbortSignal) => Promise<string | undefined>;
/** Facts end a step; others end by an event. */
type Lifecycle = {
  readonly [Name in StepName]: Name extends UndoneStep
    ? { readonly do: Do; readonly undo: Undo }
    : { readonly do: Do };
};

export const LIFECYCLE: Lifecycle = {
  wait: {
    do: waitForManaged,
  },

  inspect: {
    do: async (context, signal) => {
      const { verification, state } = context;
      verification?.before(state);
      const found = await inspect(context, signal);
      verification?.inspected(found);
      return acceptedFacts({ ...found, checks: [...found.checks] });
    },
  },

  check: {
    do: async (context, signal) => {
      const { verification, state } = context;
      verification?.watch(state());
      const { checks, copies } = await namingChanges(context, signal, () =>
        checkMove(context, signal),
      );
      return acceptedFacts({
        checks: [...checks],
        ...(copies && { copies: [...copies], takesBack: true }),
      });
    },
  },

  prepare: {
    do: async (context, signal) => {
      const { ask, order, notice } = context;
      // Before anything is made there.
      await notice?.announce(signal);
      await namingChanges(context, signal, () =>
        ask(async (session, inner) => session.prepare?.(order, inner), signal),
      );
      return {};
    },
    undo: async (context, signal) => {
      const { ask, clock, state } = context;
      const found = await unprepare(context, signal);
      if (state().prepared !== 'unsure') return found;
      await clock.sleep(await ask(async (session) => session.settlesMs, signal), signal);
      return (await unprepare(context, signal)) ?? found;
    },
  },

  // The point of no return: after the order the manager decides.
  start: {
    do: async (context, signal) => {
      if (context.state().order !== 'none') return undefined;
      // The requested window may have closed while no mover ran.
      if (context.leftMs() <= 0) throw tooLate(context);
      await assertUnchanged(context, signal);
      // Renewed, because preparing takes time, and the destination may have been closed since.
      await context.notice?.announce(signal);
      await context.wire?.open(context.state(), signal);
      await context.record({ type: 'ordered' });
      // A cancel may have come first.
      if (context.state().order !== 'sent' || signal.aborted) return undefined;
      context.dispatch(await sendOrder(context, signal));
      return undefined;
    },
    undo: askToEnd,
  },

  watch: {
    do: async (context, signal) => {
      const { ask, order, state, clock } = context;
      if (state().order === 'sent') void settle(context, signal);
      const report = reporter(context);
      const steering = new TaskSteering(context);
      const changes = new GuestChangeLook(context);
      let reported: 'news' | 'quiet' | undefined;
      while (!signal.aborted) {
        const task = await answerOf(context, () =>
          ask((session, inner) => session.look(order, inner), signal),
        );
        // Finds an owner's change behind the manager's error.
        if (task?.state === 'failed') await changes.look('last', signal);
        if (task !== undefined) report(task);
        if (task?.state === 'running') await steering.look(task, signal);
        if (task?.state === 'running')
          await changes.look(reported === 'news' ? 'news' : 'time', signal);
        reported = task?.state === 'running' ? await untilChanged(context, signal) : undefined;
        await clock.sleep(reported === undefined ? LOOK_MS : CHANGED_MS, signal);
      }
      return undefined;
    },
  },

  verify: {
    do: async (context, signal) => {
      const { ask, order, clock, dispatch, wire } = context;
      const went = await wire?.close();
      if (went !== undefined) dispatch({ type: 'wire', ...went });
      while (!signal.aborted) {
        const where = await answerOf(context, () =>
          ask((session, inner) => session.where(order, inner), signal),
        );
        if (where !== undefined) dispatch({ type: 'found', where });
        await clock.sleep(LOOK_MS, signal);
      }
      return undefined;
    },
  },

  finish: {
    do: async ({ ask, order, verification, state, dispatch, log }, signal) => {
      // One set of looks, however often the manager is asked.
      const seen = state().verified.length > 0 ? undefined : verification?.results(state());
      // `finish` removes the mark that identifies the guest there.
      await verification?.there();
      try {
        await ask((session, inner) => session.finish(order, inner), signal);
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        const error = toGodwitError(thrown);
        log.warn({ step: 'finish', code: error.code, error }, 'step failed');
        // Remains at the manager do not affect the results.
        dispatch({ type: 'failed', step: 'finish', error: error.toJSON(), ...(await seen) });
        return undefined;
      }
      return (await seen) ?? {};
    },
  },
};

/** Repeats for `UNDO_MS`, if the error may pass. */
async function unprepare(
  { ask, order, state, clock, log }: ManagedContext,
  signal: AbortSignal,
): Promise<string | undefined> {
  const isOrdered = state().order !== 'none';
  const untilMs = clock.monotonicMs() + UNDO_MS;
  for (;;) {
    try {
      const found = await ask(
        async (session, inner) => session.unprepare?.(order, isOrdered, inner),
        signal,
      );
      if (found !== undefined) log.warn({ found }, 'prepared resources are being removed');
      return found?.slice(0, MAX_FOUND);
    } catch (thrown) {
      const error = toGodwitError(thrown);
      const isOver = clock.monotonicMs() >= untilMs;
      if (signal.aborted || isOver || !error.retryable) throw thrown;
      log.debug({ error }, 'prepared resources not removed yet');
    }
    await clock.sleep(UNDO_AGAIN_MS, signal);
  }
}

async function sendOrder(context: ManagedContext, signal: AbortSignal): Promise<ManagedEvent> {
  const { ask, order } = context;
  try {
    await ask((session, inner) => session.start(order, inner), signal);
    return { type: 'accepted' };
  } catch (thrown) {
    const error = toGodwitError(thrown).toJSON();
    if (!hasCode(thrown, 'GODWIT_HYPERVISOR')) return { type: 'unanswered', error };
    const changed = await changeBehind(context, thrown, signal);
    return { type: 'refused', error: changed?.toJSON() ?? error };
  }
}

/** After this time, an unanswered order of any mover can no longer begin a task. */
async function settle(
  { ask, clock, dispatch }: ManagedContext,
  signal: AbortSignal,
): Promise<void> {
  try {
    const settlesMs = await untilAnswered(clock, signal, () =>
      ask(async (session) => session.settlesMs, signal),
    );
    await clock.sleep(settlesMs, signal);
    dispatch({ type: 'settled' });
  } catch {
    // The step is over, so its wait does not matter.
  }
}

/**
 * Asks to end the task, which may continue until the manager is reached; `look` and `where` report the outcome.
 * Repeats until the step is over, because the order may arrive after the first request.
 */
async function askToEnd(
  { ask, order, clock }: ManagedContext,
  signal: AbortSignal,
): Promise<undefined> {
  while (!signal.aborted) {
    await untilAnswered(clock, signal, () =>
      ask((session, inner) => session.cancel(order, inner), signal),
    );
    await clock.sleep(END_AGAIN_MS, signal);
  }
  return undefined;
}

async function untilAnswered<T>(
  clock: Clock,
  signal: AbortSignal,
  question: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await question();
    } catch (thrown) {
      if (signal.aborted) throw thrown;
    }
    await clock.sleep(LOOK_MS, signal);
  }
}

/** Undefined if the manager does not answer. */
async function answerOf<T>(
  { log }: ManagedContext,
  question: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await question();
  } catch (thrown) {
    log.debug({ error: toGodwitError(thrown) }, 'manager did not answer');
    return undefined;
  }
}

/** Undefined if the manager does not report changes. */
function untilChanged(
  context: ManagedContext,
  signal: AbortSignal,
): Promise<'news' | 'quiet' | undefined> {
  const { ask, order } = context;
  return answerOf(context, () =>
    ask(async (session, inner) => session.changed?.(order, inner), signal),
  );
}

function tooLate({ state, askedAtMs }: ManagedContext): GodwitError {
  const { timeoutMs, deadlineAt } = state().plan.settings;
  const untilMs = deadlineAt === undefined ? Infinity : Date.parse(deadlineAt) - askedAtMs;
  const facts = {
    what: 'all that goes ahead of the order',
    deadlineMs: Math.min(timeoutMs, untilMs),
  };
  return godwitError('GODWIT_DEADLINE', facts);
}

/** Fits facts to the journal: an oversized answer ends the step, not the mover. Throws if a check refuses. */
function acceptedFacts(facts: ManagedFacts): ManagedFacts {
  const against = (each: Check): boolean => each.verdict === 'refuse';
  const all = facts.checks ?? [];
  // If there are too many, refusals are kept.
  const sorted =
    all.length <= MAX_CHECKS
      ? all
      : all.toSorted((a, b) => Number(against(b)) - Number(against(a)));
  const checked = managedFacts.safeParse({ ...facts, checks: sorted.slice(0, MAX_CHECKS) });
  if (!checked.success) {
    const what = whatIsWrong(checked.error);
    const expected = 'what a guest is and what is against its move';
    throw godwitError('GODWIT_PROTOCOL_INVALID', { peer: 'the manager', expected, what });
  }
  refuseOn(checked.data.checks ?? []);
  return checked.data;
}
