import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { driverSaid } from '../../../drivers/registry.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { isCold } from '../../../migration/direct/cold.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import type { StepName, UndoneStep } from '../../../migration/direct/steps.ts';
import { refuseOn } from '../../engine/refused-by-checks.ts';
import { removePort } from '../../../network/port.ts';
import { firstHops } from '../../../protocol/relay.ts';
import { warmSource } from '../warm-up.ts';
import { assertDisksOpen, guardPostcopy } from './guard-postcopy.ts';
import { askHook } from './hooks.ts';
import { checksOfHosts } from './host-checks.ts';
import { routesTo, withdrawNetworks } from './networks.ts';
import { ask, darkMs, preparation, resumePeer, streamSetup, unproved } from './source-context.ts';
import type { SourceContext } from './source-context.ts';
import { choosePathTo } from './choose-path.ts';
import { assessGuest, examineStorage, inspectGuest } from './examine.ts';
import { deflate, inflate } from './balloon.ts';
import { compareDisks } from './compare.ts';
import { drained } from './drain.ts';
import { giveUpDisks } from './set-aside-disks.ts';
import {
  actionOf,
  firstFrame,
  seenThere,
  launchOf,
  continueSwitchover,
  lastLook,
  sessionIfThere,
} from './step-actions.ts';
import { isMoverThere, regain } from './regain.ts';
import { release } from './release.ts';
import { endSource, shutDown, startAgain } from './cold.ts';
import { sameMachine } from './same-machine.ts';
import { dropProofs } from './proofs.ts';
import { waitToBegin } from './wait-to-begin.ts';

/**
 * From the guest's resume until the source is looked at and taken down, ms: its first answers want the processors
 * that tidying would take, and the memory of a large guest takes long to be given back.
 */
const BREATH_MS = 150;

/** For commit's answer and the proof that there will be none, ms: less than the step may take. */
const COMMIT_AND_PROOF_MS = 115_000;

/** Does a step. Each may run twice: a mover that takes over repeats the one that was under way. */
type Do = (parts: SourceContext, signal: AbortSignal) => Promise<StepFacts>;
/** Undoes a step. Each may run twice, and on a step half done. */
type Undo = (parts: SourceContext, signal: AbortSignal) => Promise<void>;

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
    do: waitToBegin,
  },

  admit: {
    do: async (parts, signal) => {
      const { guest, peer, request, state, config } = parts;
      const { epoch, settings } = state().plan;
      // Reading the guest may begin while the destination’s mover starts.
      guest.inspect(signal).catch(() => {});
      const { vcpus, macs } = request;
      const memoryBytes =
        request.memoryBytes || (await guest.inspect(signal)).description.memoryBytes;
      const routes = request.unbridged === true ? await routesTo(parts, signal) : [];
      const own = await parts.hostFacts();
      const askedMs = systemClock.wallMs();
      const { moverAddress, wire, host } = await peer.admit(
        {
          id: request.id,
          guest: request.request.guest,
          from: config.name,
          memoryBytes,
          ...(vcpus === undefined ? {} : { vcpus }),
          ...(macs === undefined ? {} : { macs }),
          ...(routes.length === 0 ? {} : { routes }),
          epoch,
          timeoutMs: settings.timeoutMs,
          settings,
          ...(request.lineage === undefined ? {} : { lineage: request.lineage }),
          ...(request.labels === undefined ? {} : { labels: request.labels }),
          ...driverSaid(request.handle.driver),
          ...(request.returns === undefined ? {} : { returns: request.returns }),
        },
        signal,
      );
      const { address, addresses = [] } = request.peer;
      const checks = checksOfHosts({
        to: request.toHost,
        source: own,
        destination: host,
        askedMs,
        answeredMs: systemClock.wallMs(),
        mayPostcopy: settings.mode !== 'precopy',
        paths: firstHops([address, ...addresses], config.relays),
        transport: settings.transport,
        siteCheck: settings.returnIfUnhealthy?.check,
        balloon: settings.balloon,
      });
      refuseOn(checks);
      return { moverAddress, checks, ...choosePathTo(parts, wire) };
    },

    undo: async (parts, signal) => {
      // A mover that died in the midst of a proof; where the guest cannot be asked any more, it stays.
      await dropProofs(parts, signal).catch(() => undefined);
      resumePeer(parts);
      // A host that is off holds nothing. When it comes back it asks, and learns that the epoch is closed.
      if (parts.state().proof === 'fenced') return;
      // Admission may have been given, and only its answer have got lost.
      if (!(await isMoverThere(parts, signal))) return;
      await release(parts, signal);
    },
  },

  inspect: {
    do: async (parts, signal) => {
      const { guest, state, request } = parts;
      const { checks, facts } = await inspectGuest(parts, signal);
      refuseOn(checks);
      const known = { ...(await facts(signal)), checks: [...checks] };
      if (state().plan.settings.onLost !== 'restart' && !isCold(state())) return known;
      const session = await guest.session(signal);
      // State that stays until the source is retired need not be restored.
      if (isCold(state()) && session.waitsForRetire === true) return known;
      return { ...known, launch: await launchOf(session, request.handle, signal) };
    },
  },

  assess: {
    do: async (parts, signal) => {
      const found = await examineStorage(parts, signal);
      refuseOn(found.storage.checks);
      const reported = await assessGuest(parts, found, signal);
      const checks = [...found.storage.checks, ...reported.checks];
      refuseOn(checks);
      await askHook(parts, 'before-start', signal);
      return { checks, ...reported.facts };
    },
  },

  seed: {
    do: (parts, signal) => parts.backingFiles.seed(parts, signal),
  },

  prepare: {
    do: async (parts, signal) => {
      parts.probes.early(parts);
      const body = preparation(parts);
      // Both sides are read at once, the source while the destination is made.
      const compare = sameMachine(parts, signal);
      parts.verification.before(parts, compare);
      const { machine, ...reported } = await ask(parts, signal, async (api, route) => {
        const answer = await api.prepare({ body }, { signal, deadlineMs: 60_000 });
        return { ...answer, memoryAddress: route(answer.memoryAddress) };
      });
      const checks = await compare(machine);
      refuseOn(checks);
      return { ...reported, checks };
    },
  },

  configure: {
    do: async (parts, signal) => {
      const session = await parts.guest.session(signal);
      await session.configure(streamSetup(parts), signal);
      return {};
    },

    undo: async (parts, signal) => {
      parts.dataPath.abort(parts, 'the migration is undone');
      const session = await parts.guest.session(signal);
      const { run } = await session.status(signal);
      if (run !== 'gone') await session.unconfigure(signal);
    },
  },

  arm: {
    // The source’s own armed(epoch) is the synced record that began this step.
    do: async (parts, signal) => {
      await askHook(parts, 'before-switchover', signal);
      const body = { epoch: parts.state().plan.epoch };
      const [connections] = await Promise.all([
        parts.connections.handOver(parts, signal),
        ask(parts, signal, (api) => api.arm({ body }, { signal, deadlineMs: 10_000 })),
      ]);
      return { checks: [connections] };
    },

    // Its word is welcome but not needed: this side has sent no commit under the epoch and, by the record, never will.
    // Where the record may have been lost, it is needed.
    undo: async (parts, signal) => {
      resumePeer(parts);
      const { plan, right, proof } = parts.state();
      if (!parts.peer.known || proof === 'fenced') return;
      const body = { epoch: plan.epoch };
      if (right === 'committing') {
        await ask(parts, signal, (api) => api.refuse({ body }, { signal, deadlineMs: 10_000 }));
        return;
      }
      await parts.peer.once((api) => api.refuse({ body }, { signal, deadlineMs: 5000 }));
    },
  },

  mirror: {
    do: async (parts, signal) => {
      await parts.disks.copy(parts, signal);
      return {};
    },

    undo: (parts, signal) => parts.disks.drop(parts, signal),
  },

  unplug: {
    do: async (parts, signal) => {
      const { unplugger } = await parts.guest.session(signal);
      await unplugger?.unplug(parts.state().known.unplugged ?? [], signal);
      return {};
    },

    undo: async (parts, signal) => {
      const session = await parts.guest.session(signal);
      const { run } = await session.status(signal);
      if (run === 'gone') return;
      await session.unplugger?.plugAgain(parts.state().known.unplugged ?? [], signal);
    },
  },

  balloon: {
    do: inflate,
    undo: deflate,
  },

  memory: {
    do: async (parts, signal) => {
      const session = await parts.guest.session(signal);
      if ((await actionOf(parts, 'memory', signal)) === 'start-memory') {
        const { address, tlsHostname } = await parts.dataPath.open(
          parts,
          parts.state().known,
          signal,
        );
        parts.probes.memory();
        await session.startMemory(address, tlsHostname, signal);
        warmSource(parts.state());
      }
      parts.connections.follow(parts);
      await parts.disks.keep(parts, signal);
      return {};
    },

    undo: async (parts, signal) => {
      await lastLook(parts, signal);
      await regain(parts, signal);
    },
  },

  switchover: {
    do: async (parts, signal) => {
      if (isCold(parts.state())) {
        await shutDown(parts, signal);
        return {};
      }
      const session = await parts.guest.session(signal);
      const action = await actionOf(parts, 'switchover', signal);
      if (action === 'start-postcopy') {
        assertDisksOpen(parts);
        await Promise.all([session.startPostcopy(signal), guardPostcopy(parts, signal)]);
      }
      if (action === 'continue-switchover') await continueSwitchover(parts, signal);
      return {};
    },

    undo: (parts, signal) => (isCold(parts.state()) ? startAgain : regain)(parts, signal),
  },

  // The point of no return.
  commit: {
    do: async (parts, signal) => {
      const { plan, known } = parts.state();
      const body = { epoch: plan.epoch };
      const { resumesMs = 0 } = known;
      const commit = async (within: AbortSignal) => {
        if (isCold(parts.state())) await endSource(parts, within);
        await parts.disks.closeThere.ended(parts, within);
        const options = { signal: within, deadlineMs: 30_000 + resumesMs };
        return ask(parts, within, (api) => api.commit({ body }, options));
      };
      try {
        const limitMs = darkMs(parts, COMMIT_AND_PROOF_MS + resumesMs);
        const running = await (parts.fenceMs === 0
          ? commit(signal)
          : withDeadline('the answer to commit', limitMs, signal, commit));
        parts.probes.ran();
        await withdrawNetworks(parts, signal);
        void parts.connections.last(parts);
        return { running };
      } catch (thrown) {
        // Once the proof is in the journal this step is over, and its failure adds nothing.
        const isDark = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
        throw isDark ? unproved(thrown, await parts.fence(signal)) : thrown;
      }
    },
  },

  drain: {
    do: async (parts, signal) => {
      await drained(parts, signal);
      return {};
    },
  },

  verify: {
    do: async (parts, signal) => {
      parts.probes.end(parts);
      // After post-copy it has run for long.
      if (parts.state().via === 'precopy') await systemClock.sleep(BREATH_MS, signal);
      const session = await sessionIfThere(parts, signal);
      const sample = await session?.sample(signal).catch(() => undefined);
      if (sample !== undefined) parts.dispatch({ type: 'measured', sample, final: true });
      const here = session === undefined ? undefined : await parts.guest.status(signal);
      if (here?.run === 'running') {
        const reason =
          'the source was found running after the destination had been given the right to run';
        throw godwitError('GODWIT_HELD', { guest: parts.request.request.guest, reason });
      }
      const there = await ask(parts, signal, (api) => api.status({}, { signal, deadlineMs: 5000 }));
      if (there.hypervisor === 'gone') {
        const reason = there.error?.message ?? 'its hypervisor at the destination ended';
        throw godwitError('GODWIT_LOST', { guest: parts.request.request.guest, reason });
      }
      parts.verification.begin(parts);
      return { checks: parts.connections.late(parts.state().known.checks), ...seenThere(there) };
    },
  },

  retire: {
    do: async (parts, signal) => {
      const { config, request, state } = parts;
      await parts.dataPath.end(parts);
      const session = await sessionIfThere(parts, signal);
      await session?.quit(signal);
      for (const port of state().known.ports ?? []) await removePort(port, signal);
      const guestDir = path.join(config.stateDir, 'guests', request.request.guest);
      // A hypervisor that ended without a mover did not return its files.
      await parts.guest.takeBack(guestDir);
      await parts.removeTree(guestDir);
      const diskCheck = await compareDisks(parts, signal);
      const { plan, known } = state();
      const found = diskCheck === undefined ? {} : { diskCheck };
      return giveUpDisks({ plan, known: { ...known, ...found } }, request.id);
    },
  },

  finish: {
    do: async (parts, signal) => {
      const body = { epoch: parts.state().plan.epoch };
      const reports = parts.probes.results(parts);
      const frame = await firstFrame(parts, signal);
      const seen = await reports;
      const verified = await parts.verification.results(parts, seen);
      await ask(parts, signal, (api) => api.finish({ body }, { signal, deadlineMs: 10_000 }));
      return { ...frame, verified, ...(seen.length === 0 ? {} : { vantages: seen }) };
    },
  },
};
