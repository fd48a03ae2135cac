import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { driverSaid } from '../../../drivers/registry.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { isCold } from '../../../migration/direct/cold.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import type { StepName, UndoneStep } from '../../../migration/direct/steps.ts';
import { defined } from '../../../protocol/defined.ts';
import { refuseOn } from '../../engine/refused-by-checks.ts';
import { removePort } from '../../../network/port.ts';
import { firstHops } from '../../../protocol/relay.ts';
import { collectGarbage } from '../../../system/processes/small-process.ts';
import { warmSource } from '../warm-up.ts';
import { guardPostcopy, untilLinked } from './stream/guard-postcopy.ts';
import { askHook } from './hooks.ts';
import { checksOfHosts } from './host-checks.ts';
import { routesTo, withdrawNetworks } from './network/networks.ts';
import { ask, darkMs, preparation, resumePeer, unproved, type UndoFacts } from './source-base.ts';
import { streamSetup } from './stream/stream-setup.ts';
import type { SourceContext } from './source-context.ts';
import { chooseDataPath } from './stream/choose-data-path.ts';
import { assessGuest, examineStorage, inspectGuest } from './examine.ts';
import { assertAsAsked } from './guest/guest-changes.ts';
import { deflate, inflate } from './stream/balloon.ts';
import { compareDisks } from './disks/compare.ts';
import { drained } from './drain.ts';
import { giveUpDisks, holdDisks } from './disks/set-aside-disks.ts';
import {
  actionOf,
  firstFrame,
  seenThere,
  launchOf,
  continueSwitchover,
  lastLook,
} from './step-actions.ts';
import { sessionIfThere } from './source-base.ts';
import { isMoverThere, regain } from './guest/regain.ts';
import { askForThird, fleetToAsk } from './guest/permission.ts';
import { release } from './release.ts';
import { endSource, shutDown, startAgain } from './guest/cold.ts';
import { sameMachine } from './guest/same-machine.ts';
import { dropProofs } from './disks/drop-proofs.ts';
import { waitAtSource } from './wait-to-begin.ts';

/**
 * From the guest's resume until the source is looked at and taken down, ms: its first answers want the processors
 * that tidying would take, and the memory of a large guest takes long to be given back.
 */
const BREATH_MS = 150;

/** For commit's answer and the proof that there will be none, ms: less than the step may take. */
const COMMIT_AND_PROOF_MS = 115_000;
/** For the answers of third hosts, which are asked for 10 s, ms. */
const FLEET_MS = 12_000;

/** Does a step. Each may run twice: a mover that takes over repeats the one that was under way. */
type Do = (context: SourceContext, signal: AbortSignal) => Promise<StepFacts>;
/** Undoes a step. Each may run twice, and on a step half done. */
type Undo = (context: SourceContext, signal: AbortSignal) => Promise<UndoFacts | void>;

/** A step whose row in `STEPS` has an undo does not compile without one here, and the others not with one. */
export type Lifecycle = {
  readonly [Step in StepName]: Step extends UndoneStep
    ? { readonly do: Do; readonly undo: Undo }
    : { readonly do: Do; readonly undo?: undefined };
};

/**
 * A direct migration as its source carries it out: every step in the order in which it happens, and what undoes it.
 *
 * Before `commit` every failure leaves by one exit: the coordinator undoes the steps that were begun, the last one first,
 * and the guest runs on here. `commit` is the point of no return: from there on it only goes forward. What each step is
 * for, how long it may take, and why it has no undo where it has none, is in migration/direct/steps.ts; what follows what
 * is decided by migration/direct/transition.ts.
 */
export const LIFECYCLE: Lifecycle = {
  wait: {
    do: waitAtSource,
  },

  admit: {
    do: async (context, signal) => {
      const { guest, peer, request, state, config } = context;
      const { epoch, settings } = state().plan;
      // Reading the guest may begin while the destination’s mover starts.
      guest.inspect(signal).catch(() => {});
      context.forecast.begin(context);
      const { vcpus, macs } = request;
      const memoryBytes = await guest.neededBytes(request.memoryBytes, signal);
      const routes = request.unbridged === true ? await routesTo(context, signal) : [];
      const own = await context.hostFacts();
      const path = peer.look(signal);
      path.catch(() => {});
      const askedMs = systemClock.wallMs();
      const { moverAddress, wire, host } = await peer.admit(
        {
          id: request.id,
          guest: request.request.guest,
          from: config.name,
          memoryBytes,
          ...defined({ vcpus, macs }),
          ...(routes.length === 0 ? {} : { routes }),
          epoch,
          timeoutMs: settings.timeoutMs,
          settings,
          ...defined({ lineage: request.lineage, labels: request.labels }),
          ...driverSaid(request.handle.driver),
          ...defined({ returns: request.returns }),
        },
        signal,
      );
      context.forecast.admitted(wire);
      const { address, addresses = [] } = request.peer;
      const checks = checksOfHosts({
        to: request.toHost,
        source: own,
        destination: host,
        askedMs,
        answeredMs: systemClock.wallMs(),
        ...(await path),
        link: request.link,
        memoryBytes,
        mayPostcopy: settings.mode !== 'precopy',
        paths: firstHops([address, ...addresses], config.relays),
        transport: settings.transport,
        siteCheck: settings.returnIfUnhealthy?.check,
        balloon: settings.balloon,
      });
      refuseOn(checks);
      return { moverAddress, checks, ...(await chooseDataPath(context, wire, signal)) };
    },

    undo: async (context, signal) => {
      // A mover that died in the midst of a proof; where the guest cannot be asked any more, it stays.
      await dropProofs(context, signal).catch(() => undefined);
      await context.latencies.end(context, signal);
      resumePeer(context);
      // A host that is off holds nothing. When it comes back it asks, and learns that the epoch is closed.
      if (context.state().decision.proof === 'fenced') return;
      // Admission may have been given, and only its answer have got lost.
      if (!(await isMoverThere(context, signal))) return;
      await release(context, signal);
    },
  },

  inspect: {
    do: async (context, signal) => {
      const { guest, state, request } = context;
      const { checks, facts } = await inspectGuest(context, signal);
      refuseOn(checks);
      const known = { ...(await facts(signal)), checks: [...checks] };
      assertAsAsked(request, known);
      if (state().plan.settings.onLost !== 'restart' && !isCold(state())) return known;
      const session = await guest.session(signal);
      // State that stays until the source is retired need not be restored.
      if (isCold(state()) && session.waitsForRetire === true) return known;
      return { ...known, launch: await launchOf(session, request.handle, signal) };
    },
  },

  assess: {
    do: async (context, signal) => {
      const found = await examineStorage(context, signal);
      refuseOn(found.storage.checks);
      const reported = await assessGuest(context, found, signal);
      const checks = [...found.storage.checks, ...reported.checks];
      refuseOn(checks);
      await askHook(context, 'before-start', signal);
      return { checks, ...reported.facts };
    },
  },

  seed: {
    do: (context, signal) => context.backingFiles.seed(context, signal),
  },

  prepare: {
    do: async (context, signal) => {
      context.probes.early(context);
      context.latencies.begin(context);
      const body = preparation(context);
      // Both sides are read at once, the source while the destination is made.
      const compare = sameMachine(context, signal);
      context.verification.before(context, compare);
      setImmediate(collectGarbage);
      const { machine, ...reported } = await ask(context, signal, async (api, route) => {
        const answer = await api.prepare({ body }, { signal, deadlineMs: 60_000 });
        return { ...answer, memoryAddress: route(answer.memoryAddress) };
      });
      const checks = await compare(machine);
      await context.changes.judgeMachine(context, checks, signal);
      return { ...reported, checks };
    },
  },

  configure: {
    do: async (context, signal) => {
      const session = await context.guest.session(signal);
      await session.configure(streamSetup(context), signal);
      return context.forecast.facts(context, signal);
    },

    undo: async (context, signal) => {
      context.dataPath.abort(context, 'the migration is undone');
      const session = await context.guest.session(signal);
      const { run } = await session.status(signal);
      if (run !== 'gone') await session.unconfigure(signal);
    },
  },

  arm: {
    // The source’s own armed(epoch) is the synced record that began this step.
    do: async (context, signal) => {
      await askHook(context, 'before-switchover', signal);
      const body = { epoch: context.state().plan.epoch };
      const [connections] = await Promise.all([
        context.connections.handOver(context, signal),
        ask(context, signal, (api) => api.arm({ body }, { signal, deadlineMs: 10_000 })),
      ]);
      return { checks: [connections] };
    },

    // The destination's refusal is asked for, and not needed: this side has sent no commit under the epoch and, by the
    // record, never will. Where a commit may have been sent, it is needed.
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
    do: async (context, signal) => {
      await context.latencies.copying(context, signal);
      await context.disks.copy(context, signal);
      return {};
    },

    undo: async (context, signal) => {
      await context.disks.drop(context, signal);
      await context.latencies.end(context, signal);
    },
  },

  unplug: {
    do: async (context, signal) => {
      const { unplugger } = await context.guest.session(signal);
      await unplugger?.unplug(context.state().known.unplugged ?? [], signal);
      return {};
    },

    undo: async (context, signal) => {
      const session = await context.guest.session(signal);
      const { run } = await session.status(signal);
      if (run === 'gone') return;
      await session.unplugger?.plugAgain(context.state().known.unplugged ?? [], signal);
    },
  },

  balloon: {
    do: inflate,
    undo: deflate,
  },

  memory: {
    do: async (context, signal) => {
      const session = await context.guest.session(signal);
      if ((await actionOf(context, 'memory', signal)) === 'start-memory') {
        await context.changes.assertReady(context, signal);
        const { address, tlsHostname } = await context.dataPath.open(
          context,
          context.state().known,
          signal,
        );
        context.probes.memory();
        await session.startMemory(address, tlsHostname, signal);
        warmSource(context.state());
      }
      context.connections.follow(context);
      await context.disks.keep(context, signal);
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
        await context.changes.assertSame(context, signal);
        return {};
      }
      const session = await context.guest.session(signal);
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

  // The point of no return.
  commit: {
    do: async (context, signal) => {
      const { plan, known } = context.state();
      const { resumesMs = 0 } = known;
      const commit = async (within: AbortSignal) => {
        if (isCold(context.state())) await endSource(context, within);
        await context.disks.closeThere.ended(context, within);
        const options = { signal: within, deadlineMs: 30_000 + resumesMs };
        return ask(context, within, (api) => {
          const body = { epoch: plan.epoch, ...defined({ askFleet: fleetToAsk(context) }) };
          return api.commit({ body }, options);
        });
      };
      try {
        const askMs = isCold(context.state()) ? FLEET_MS : 0;
        const wholeMs = COMMIT_AND_PROOF_MS + resumesMs - askMs;
        const limitMs = context.fenceMs > 0 ? darkMs(context, wholeMs) : wholeMs;
        const isBounded = context.fenceMs > 0 || askMs > 0;
        const running = await (isBounded
          ? withDeadline('the answer to commit', limitMs, signal, commit)
          : commit(signal));
        context.probes.ran();
        await withdrawNetworks(context, signal);
        void context.connections.last(context);
        return { running, checks: context.changes.checks() };
      } catch (thrown) {
        // Once the proof is in the journal this step is over, and its failure adds nothing.
        const isDark = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
        if (!isDark) throw thrown;
        // The guest is down, and its disks stay: the migration can end on the word of the host that has recovered it.
        const third = isCold(context.state()) ? await askForThird(context, signal) : undefined;
        if (third !== undefined) throw third;
        throw unproved(thrown, await context.fence(signal));
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
      context.probes.end(context);
      // After post-copy it has run for long.
      if (context.state().via === 'precopy') await systemClock.sleep(BREATH_MS, signal);
      const session = await sessionIfThere(context, signal);
      const sample = await session?.sample(signal).catch(() => undefined);
      if (sample !== undefined) context.dispatch({ type: 'measured', sample, final: true });
      const here = session === undefined ? undefined : await context.guest.status(signal);
      if (here?.run === 'running') {
        const reason =
          'the source was found running after the destination had been given the right to run';
        throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason });
      }
      const there = await ask(context, signal, (api) =>
        api.status({}, { signal, deadlineMs: 5000 }),
      );
      // A guest that its owner or itself has ended since it ran there is not lost.
      if (there.hypervisor === 'gone' && there.ended === undefined) {
        const reason = there.error?.message ?? 'its hypervisor at the destination ended';
        throw godwitError('GODWIT_LOST', { guest: context.request.request.guest, reason });
      }
      context.verification.begin(context);
      return {
        checks: context.connections.late(context.state().known.checks),
        ...seenThere(there),
      };
    },
  },

  retire: {
    do: async (context, signal) => {
      const { config, request, state } = context;
      await context.dataPath.end(context);
      const session = await sessionIfThere(context, signal);
      if (session !== undefined) await context.latencies.end(context, signal);
      const disks = await holdDisks(state(), session !== undefined);
      try {
        await session?.quit(signal);
        for (const port of state().known.ports ?? []) await removePort(port, signal);
        const guestDir = path.join(config.stateDir, 'guests', request.request.guest);
        // A hypervisor that ended without a mover did not return its files.
        await context.guest.takeBack(guestDir);
        await context.removeTree(guestDir);
        const diskCheck = await compareDisks(context, signal);
        const { plan, known } = state();
        const found = diskCheck === undefined ? {} : { diskCheck };
        const leaving = { plan, known: { ...known, ...found } };
        return await giveUpDisks(leaving, request.id, signal, disks);
      } finally {
        await disks.close();
      }
    },
  },

  finish: {
    do: async (context, signal) => {
      const body = { epoch: context.state().plan.epoch };
      const reports = context.probes.results(context);
      const frame = await firstFrame(context, signal);
      const seen = await reports;
      const verified = await context.verification.results(context, seen);
      await ask(context, signal, (api) => api.finish({ body }, { signal, deadlineMs: 10_000 }));
      return { ...frame, verified, ...(seen.length === 0 ? {} : { vantages: seen }) };
    },
  },
};
