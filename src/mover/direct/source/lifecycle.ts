import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { isCold } from '../../../migration/direct/cold.ts';
import type { StepFacts } from '../../../migration/direct/source/source-state.ts';
import type { StepName, UndoneStep } from '../../../migration/direct/source/steps.ts';
import { defined } from '../../../protocol/defined.ts';
import { collectGarbage } from '../../../system/processes/small-process.ts';
import { warmSource } from '../warm-up.ts';
import { guardPostcopy, untilLinked } from './stream/guard-postcopy.ts';
import { askHook, factsOf } from './hooks.ts';
import {
  ask,
  darkMs,
  preparation,
  resumePeer,
  sessionIfThere,
  unproved,
  type UndoFacts,
} from './source-base.ts';
import type { StepContext } from './ports.ts';
import { admit, assess, inspect, lookAsStep, type StepDependencies } from './examine.ts';
import { sameMachine } from './guest/guest-changes.ts';
import { deflate, inflate } from './stream/balloon.ts';
import { compareDisks } from './disks/compare.ts';
import { giveUpDisks, holdDisks } from './disks/set-aside-disks.ts';
import {
  actionOf,
  drained,
  firstFrame,
  seenThere,
  continueSwitchover,
  lastLook,
} from './step-actions.ts';
import { regain } from './guest/regain.ts';
import { askForThird, fleetToAsk } from './guest/permission.ts';
import { isMoverThere, release } from './release.ts';
import { endSource, shutDown, startAgain } from './guest/cold.ts';
import { dropProofs } from './disks/storage.ts';
import { refuseOn } from '../../engine/refused-by-checks.ts';
import { neverMeasured, rateOf, waitToBegin } from '../../shared/beginning.ts';

/**
 * Pause between the guest's resume and the teardown of the source, ms. The guest's first answers need the processors,
 * and freeing a large guest's memory takes long.
 */
const BREATH_MS = 150;

/** Time for commit's answer and a proof that none will come, ms; less than the step's deadline. */
const COMMIT_AND_PROOF_MS = 115_000;
/** Time for third hosts, which are asked for 10 s, ms. */
const FLEET_MS = 12_000;

/** May run twice: a mover that takes over repeats the current step. */
type Do = (context: StepContext, signal: AbortSignal) => Promise<StepFacts>;
/** May run twice, and on a half-done step. */
type Undo = (context: StepContext, signal: AbortSignal) => Promise<UndoFacts | void>;

/** The compiler requires an undo exactly for the steps that have one in `STEPS`. */
export type Lifecycle = {
  readonly [Step in StepName]: Step extends UndoneStep
    ? { readonly do: Do; readonly undo: Undo }
    : { readonly do: Do; readonly undo?: undefined };
};

/**
 * A direct migration at its source: every step in order, with its undo.
 *
 * Before `commit`, every failure takes one exit: the coordinator undoes the begun steps in reverse, and the guest
 * keeps running here. `commit` is the point of no return; afterwards it only goes forward. migration/direct/source/steps.ts
 * has the purpose and deadline of each step, and the reason for a missing undo.
 */
export const LIFECYCLE: Lifecycle = {
  wait: {
    do: ({ state, request, hypervisor, host: { config } }, signal) => {
      const { plan } = state();
      const beginning = {
        config,
        clock: systemClock,
        guest: plan.guest,
        settings: plan.settings,
        askedAtMs: Date.parse(request.createdAt),
        facts: () => factsOf({ state }),
        countedBy: hypervisor.countedBy,
        dirtyRate: async (inner: AbortSignal) => {
          const session = await hypervisor.session(inner);
          if (session.measure === undefined) throw neverMeasured(session.handle.driver);
          return rateOf(() => session.measure?.(inner) ?? Promise.reject(new Error('gone')), inner);
        },
      };
      return waitToBegin(beginning, signal);
    },
  },

  admit: {
    do: async (context, signal) => {
      const { hypervisor } = context;
      // The guest is read while the destination's mover starts.
      hypervisor.inspect(signal).catch(() => {});
      hypervisor.forecast.begin();
      const { facts, wire } = await lookAsStep(admit, lookBy(context), signal);
      hypervisor.forecast.admitted(wire);
      return facts;
    },

    undo: async (context, signal) => {
      // Left by a dead mover; stays if the guest cannot be reached.
      await dropProofs(lookBy(context), signal).catch(() => undefined);
      await context.disks.latencies.end(signal);
      resumePeer(context);
      // A host that is off holds nothing. When it returns, it learns that the epoch is closed.
      if (context.state().decision.proof === 'fenced') return;
      // The admission may have succeeded even if its answer was lost.
      if (!(await isMoverThere(context, signal))) return;
      await release(context, signal);
    },
  },

  inspect: {
    do: async (context, signal) => (await lookAsStep(inspect, lookBy(context), signal)).facts,
  },

  assess: {
    do: async (context, signal) => {
      const { facts } = await lookAsStep(assess, lookBy(context), signal);
      await askHook(context, 'before-start', signal);
      return facts;
    },
  },

  seed: {
    do: ({ disks }, signal) => disks.backingFiles.seed(signal),
  },

  prepare: {
    do: async (context, signal) => {
      const { state, hypervisor, disks, network, host } = context;
      network.probes.early();
      disks.latencies.begin();
      const body = preparation({ config: host.config, state });
      // Reads the source while the destination is made.
      const compare = sameMachine({ guest: hypervisor, state }, signal);
      network.verification.before(compare);
      setImmediate(collectGarbage);
      const { machine, ...reported } = await ask(context, signal, async (api, route) => {
        const answer = await api.prepare({ body }, { signal, deadlineMs: 60_000 });
        return { ...answer, memoryAddress: route(answer.memoryAddress) };
      });
      const checks = await compare(machine);
      refuseOn(checks);
      return { ...reported, checks };
    },
  },

  configure: {
    do: async ({ hypervisor, dataPath }, signal) => {
      const session = await hypervisor.session(signal);
      await session.configure(dataPath.setup(), signal);
      return hypervisor.forecast.facts(signal);
    },

    undo: async ({ hypervisor, dataPath }, signal) => {
      dataPath.abort('the migration is undone');
      const session = await hypervisor.session(signal);
      const { run } = await session.status(signal);
      if (run !== 'gone') await session.unconfigure(signal);
    },
  },

  arm: {
    // The source's armed(epoch) is the synced record that began this step.
    do: async (context, signal) => {
      await askHook(context, 'before-switchover', signal);
      const body = { epoch: context.state().plan.epoch };
      const [connections] = await Promise.all([
        context.network.connections.handOver(signal),
        ask(context, signal, (api) => api.arm({ body }, { signal, deadlineMs: 10_000 })),
      ]);
      return { checks: [connections] };
    },

    // The destination's refusal is optional: this side has sent no commit under the epoch and, by the record, never
    // will. After a possible commit it is required.
    undo: async (context, signal) => {
      resumePeer(context);
      const { plan, right, decision } = context.state();
      if (!context.peer.known || decision.proof === 'fenced') return;
      const body = { epoch: plan.epoch };
      if (right === 'committing') {
        await ask(context, signal, (api) => api.refuse({ body }, { signal, deadlineMs: 10_000 }));
        return;
      }
      await context.peer.once((api) => api.refuse({ body }, { signal, deadlineMs: 5000 }));
    },
  },

  mirror: {
    do: async ({ disks }, signal) => {
      await disks.latencies.copying(signal);
      await disks.copies.copy(signal);
      return {};
    },

    undo: async ({ disks }, signal) => {
      await disks.copies.drop(signal);
      await disks.latencies.end(signal);
    },
  },

  unplug: {
    do: async ({ state, hypervisor }, signal) => {
      const { unplugger } = await hypervisor.session(signal);
      await unplugger?.unplug(state().known.unplugged ?? [], signal);
      return {};
    },

    undo: async ({ state, hypervisor }, signal) => {
      const session = await hypervisor.session(signal);
      const { run } = await session.status(signal);
      if (run === 'gone') return;
      await session.unplugger?.plugAgain(state().known.unplugged ?? [], signal);
    },
  },

  balloon: {
    do: inflate,
    undo: deflate,
  },

  memory: {
    do: async (context, signal) => {
      const { state, hypervisor, dataPath, disks, network } = context;
      const session = await hypervisor.session(signal);
      if ((await actionOf(context, 'memory', signal)) === 'start-memory') {
        await hypervisor.changes.assertReady(signal);
        const { address, tlsHostname } = await dataPath.open(state().known, signal);
        network.probes.memory();
        await session.startMemory(address, tlsHostname, signal);
        warmSource(state());
      }
      network.connections.follow();
      await disks.copies.keep(signal);
      return {};
    },

    undo: async (context, signal) => {
      await lastLook(context, signal);
      return regain(context, signal);
    },
  },

  switchover: {
    do: async (context, signal) => {
      if (isCold(context.state())) {
        await shutDown(context, signal);
        await context.hypervisor.changes.assertSame(signal);
        return {};
      }
      const session = await context.hypervisor.session(signal);
      const action = await actionOf(context, 'switchover', signal);
      if (action === 'start-postcopy') {
        await untilLinked(context, signal);
        await Promise.all([session.startPostcopy(signal), guardPostcopy(context, signal)]);
      }
      if (action === 'continue-switchover') await continueSwitchover(context, signal);
      return {};
    },

    undo: (context, signal) => (isCold(context.state()) ? startAgain : regain)(context, signal),
  },

  commit: {
    do: async (context, signal) => {
      const { hypervisor, disks, network, host } = context;
      const { plan, known } = context.state();
      const { resumesMs = 0 } = known;
      const commit = async (within: AbortSignal) => {
        if (isCold(context.state())) await endSource(hypervisor, within);
        await disks.copies.closedThere(within);
        const options = { signal: within, deadlineMs: 30_000 + resumesMs };
        return ask(context, within, (api) => {
          const body = { epoch: plan.epoch, ...defined({ askFleet: fleetToAsk(context) }) };
          return api.commit({ body }, options);
        });
      };
      try {
        const askMs = isCold(context.state()) ? FLEET_MS : 0;
        const wholeMs = COMMIT_AND_PROOF_MS + resumesMs - askMs;
        const limitMs = host.fenceMs > 0 ? darkMs(host.fenceMs, wholeMs) : wholeMs;
        const isBounded = host.fenceMs > 0 || askMs > 0;
        const running = await (isBounded
          ? withDeadline('the answer to commit', limitMs, signal, commit)
          : commit(signal));
        network.probes.ran();
        await network.withdraw(signal);
        void network.connections.last();
        return { running, checks: hypervisor.changes.checks() };
      } catch (thrown) {
        // The journaled proof ends this step, so its error adds nothing.
        const isDark = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
        if (!isDark) throw thrown;
        // The guest is down and its disks stay, so the recovering host's report ends the migration.
        const third = isCold(context.state()) ? await askForThird(context, signal) : undefined;
        if (third !== undefined) throw third;
        throw unproved(thrown, await host.fence(signal));
      }
    },
  },

  drain: {
    do: async (context, signal) => {
      await drained(context, signal);
      return {};
    },
  },

  verify: {
    do: async (context, signal) => {
      const { request, state, hypervisor, network } = context;
      const { guest } = state().plan;
      network.probes.end();
      // After post-copy the guest has run for long.
      if (state().via === 'precopy') await systemClock.sleep(BREATH_MS, signal);
      const session = await sessionIfThere(hypervisor, signal);
      const sample = await session?.sample(signal).catch(() => undefined);
      if (sample !== undefined) context.dispatch({ type: 'measured', sample, final: true });
      const here = session === undefined ? undefined : await hypervisor.status(signal);
      if (here?.run === 'running') {
        const reason =
          'the source was found running after the destination had been given the right to run';
        throw godwitError('GODWIT_HELD', { guest, reason });
      }
      const there = await ask(context, signal, (api) =>
        api.status({}, { signal, deadlineMs: 5000 }),
      );
      // A guest that ran there and ended by itself or by its owner's order is not lost.
      if (there.hypervisor === 'gone' && there.ended === undefined) {
        const reason = there.error?.message ?? 'its hypervisor at the destination ended';
        throw godwitError('GODWIT_LOST', { guest, reason });
      }
      // A power loss there took the record that the guest ran, and the destination gave it up.
      if (there.state === 'released' || there.state === 'refused') {
        const { plan, known } = state();
        const hasCopies = (known.copies ?? []).length > 0;
        const kept = hasCopies ? `; it keeps copied disks as NAME.moved-${request.id}` : '';
        const reason = `${plan.to} was restarted and gave it up${kept}`;
        throw godwitError('GODWIT_LOST', { guest, reason });
      }
      network.verification.begin();
      return {
        checks: network.connections.late(state().known.checks),
        ...seenThere(there),
      };
    },
  },

  retire: {
    do: async (context, signal) => {
      const { request, state, hypervisor, dataPath, disks, network, host } = context;
      await dataPath.end();
      const session = await sessionIfThere(hypervisor, signal);
      if (session !== undefined) await disks.latencies.end(signal);
      const held = await holdDisks(state(), session !== undefined);
      try {
        await session?.quit(signal);
        await network.removePorts(signal);
        const guestDir = path.join(host.config.stateDir, 'guests', request.request.guest);
        // A hypervisor that ended without a mover did not return its files.
        await hypervisor.takeBack(guestDir);
        await host.removeTree(guestDir);
        const diskCheck = await compareDisks(context, signal);
        const { plan, known } = state();
        const found = diskCheck === undefined ? {} : { diskCheck };
        const leaving = { plan, known: { ...known, ...found } };
        return await giveUpDisks(leaving, request.id, signal, held);
      } finally {
        await held.close();
      }
    },
  },

  finish: {
    do: async (context, signal) => {
      const body = { epoch: context.state().plan.epoch };
      const { probes, verification } = context.network;
      const reports = probes.results();
      const frame = await firstFrame(context, signal);
      const seen = await reports;
      const verified = await verification.results(seen);
      await ask(context, signal, (api) => api.finish({ body }, { signal, deadlineMs: 10_000 }));
      return { ...frame, verified, ...(seen.length === 0 ? {} : { vantages: seen }) };
    },
  },
};

/** Ports for looks at the guest, as a check without a migration has them. */
function lookBy({
  request,
  state,
  peer,
  hypervisor,
  dataPath,
  network,
  host,
}: StepContext): StepDependencies {
  const { config, facts: hostFacts } = host;
  const { connections } = network;
  return { config, request, state, guest: hypervisor, peer, connections, dataPath, hostFacts };
}
