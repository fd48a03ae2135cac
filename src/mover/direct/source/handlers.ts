import { rmSync } from 'node:fs';
import path from 'node:path';
import type { GuestHandle, Launch, SourceSession } from '../../../drivers/port/driver.ts';
import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { decide } from '../../../migration/direct/decide.ts';
import type { StepAction } from '../../../migration/direct/decide.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import type { StepName } from '../../../migration/direct/steps.ts';
import { removePort } from '../../../network/port.ts';
import { warmSource } from '../warm.ts';
import { assertDisksOpen, assertStopped, guardPostcopy } from './guard-postcopy.ts';
import { askHook } from './hooks.ts';
import { networksOf, withdrawNetworks } from './networks.ts';
import { ask, darkMs, preparation, refuseOn, streamSetup } from './parts.ts';
import type { SourceParts } from './parts.ts';
import { assessStream, choosePathTo, streamFrom } from './choose-path.ts';
import { compareDisks } from './compare.ts';
import { drained } from './drain.ts';
import { giveUpDisks } from './left-disks.ts';
import { proveStorage } from './storage.ts';

/**
 * From the guest's resume until the source is looked at and taken down, ms: its first answers want the processors
 * that tidying would take, and the memory of a large guest takes long to be given back.
 */
const BREATH_MS = 150;

/** For commit's answer and the proof that there will be none, ms: less than the step may take. */
const COMMIT_AND_PROOF_MS = 115_000;

type Handler = (parts: SourceParts, signal: AbortSignal) => Promise<StepFacts>;

/** How each step is done. Each may run twice: a mover that takes over repeats the one that was under way. */
export const DO: Readonly<Record<StepName, Handler>> = {
  admit: async (parts, signal) => {
    const { guest, peer, request, state, config } = parts;
    const { epoch, settings } = state().plan;
    // Reading the guest may begin while the destination’s mover starts.
    guest.inspect(signal).catch(() => {});
    const { moverAddress, wire } = await peer.admit(
      {
        id: request.id,
        guest: request.request.guest,
        from: config.name,
        memoryBytes: request.memoryBytes,
        epoch,
        timeoutMs: settings.timeoutMs,
      },
      signal,
    );
    return { moverAddress, ...choosePathTo(parts, wire) };
  },

  inspect: async (parts, signal) => {
    const { guest, state, request } = parts;
    const { description, checks, nics } = await guest.inspect(signal);
    refuseOn(checks);
    const session = await guest.session(signal);
    const ports = await session.ports(signal);
    const networks = await networksOf(parts, nics, signal);
    const attached = networks === undefined ? {} : { networks };
    const stream = await streamFrom(parts, session, signal);
    const facts = { description, checks: [...checks], ports, ...attached, ...stream };
    if (state().plan.settings.onLost !== 'restart') return facts;
    return { ...facts, launch: await launchOf(session, request.handle, signal) };
  },

  assess: async (parts, signal) => {
    const storage = await proveStorage(parts, signal);
    refuseOn(storage.checks);
    const places = storage.places.length === 0 ? {} : { places: [...storage.places] };
    const wanted = storage.copies.length === 0 ? {} : { copies: [...storage.copies] };
    const bases = storage.bases.length === 0 ? {} : { bases: [...storage.bases] };
    const body = { ...preparation(parts), ...places, ...wanted, ...bases };
    const { told, ...stream } = await assessStream(parts, body, (asked) =>
      ask(parts, signal, (api) => api.assess({ body: asked }, { signal, deadlineMs: 15_000 })),
    );
    const checks = [...storage.checks, ...told.checks];
    refuseOn(checks);
    await askHook(parts, 'before-start', signal);
    const { copies } = told;
    const disks = copies === undefined ? {} : { copies, copied: [...storage.copied] };
    return { checks, ...places, ...disks, ...bases, ...stream };
  },

  seed: (parts, signal) => parts.bases.seed(parts, signal),

  prepare: async (parts, signal) => {
    parts.vantage.early(parts);
    const body = preparation(parts);
    return ask(parts, signal, async (api, route) => {
      const told = await api.prepare({ body }, { signal, deadlineMs: 60_000 });
      return { ...told, memoryAddress: route(told.memoryAddress) };
    });
  },

  configure: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    await session.configure(streamSetup(parts), signal);
    return {};
  },

  // The source’s own armed(epoch) is the synced record that began this step.
  arm: async (parts, signal) => {
    await askHook(parts, 'before-switchover', signal);
    const body = { epoch: parts.state().plan.epoch };
    const [connections] = await Promise.all([
      parts.connections.handOver(parts, signal),
      ask(parts, signal, (api) => api.arm({ body }, { signal, deadlineMs: 10_000 })),
    ]);
    return { checks: [connections] };
  },

  mirror: async (parts, signal) => {
    await parts.disks.copy(parts, signal);
    return {};
  },

  memory: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    if ((await actionOf(parts, 'memory', signal)) === 'start-memory') {
      const { address, tlsHostname } = await parts.way.open(parts, parts.state().known, signal);
      await session.startMemory(address, tlsHostname, signal);
      warmSource(parts.state());
    }
    parts.connections.follow(parts);
    await parts.disks.keep(parts, signal);
    return {};
  },

  switchover: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    const action = await actionOf(parts, 'switchover', signal);
    if (action === 'start-postcopy') {
      assertDisksOpen(parts);
      await Promise.all([session.startPostcopy(signal), guardPostcopy(parts, signal)]);
    }
    if (action === 'let-go') await letGo(parts, signal);
    return {};
  },

  commit: async (parts, signal) => {
    const body = { epoch: parts.state().plan.epoch };
    const commit = async (within: AbortSignal) => {
      await parts.disks.letGoThere.ended(parts, within);
      const options = { signal: within, deadlineMs: 30_000 };
      return ask(parts, within, (api) => api.commit({ body }, options));
    };
    try {
      const limitMs = darkMs(parts, COMMIT_AND_PROOF_MS);
      const running = await (parts.fenceMs === 0
        ? commit(signal)
        : withDeadline('the answer to commit', limitMs, signal, commit));
      parts.vantage.ran();
      await withdrawNetworks(parts, signal);
      void parts.connections.last(parts);
      return { running };
    } catch (thrown) {
      // With the proof in the journal this step is over already, and its failure says nothing more.
      if (hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) await parts.fence(signal);
      throw thrown;
    }
  },

  drain: async (parts, signal) => {
    await drained(parts, signal);
    return {};
  },

  verify: async (parts, signal) => {
    parts.vantage.end(parts);
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
    const { firstFrameMs } = there;
    const frame = firstFrameMs === undefined ? {} : { firstFrameMs };
    return { checks: parts.connections.late(parts.state().known.checks), ...frame };
  },

  retire: async (parts, signal) => {
    const { config, request, state } = parts;
    await parts.way.end(parts);
    const session = await sessionIfThere(parts, signal);
    await session?.quit(signal);
    for (const port of state().known.ports ?? []) await removePort(port, signal);
    const guestDir = path.join(config.stateDir, 'guests', request.request.guest);
    rmSync(guestDir, { recursive: true, force: true });
    const diskCheck = await compareDisks(parts, signal);
    const { plan, known } = state();
    const found = diskCheck === undefined ? {} : { diskCheck };
    return giveUpDisks({ plan, known: { ...known, ...found } }, request.id);
  },

  finish: async (parts, signal) => {
    const body = { epoch: parts.state().plan.epoch };
    const vantages = parts.vantage.results(parts);
    const frame = await firstFrame(parts, signal);
    await ask(parts, signal, (api) => api.finish({ body }, { signal, deadlineMs: 10_000 }));
    const seen = await vantages;
    return { ...frame, ...(seen.length === 0 ? {} : { vantages: seen }) };
  },
};

/** Of a guest that had sent nothing yet when it was looked at first. */
async function firstFrame(parts: SourceParts, signal: AbortSignal): Promise<StepFacts> {
  const isOff = parts.config.network.vantage === false;
  if (isOff || parts.state().known.firstFrameMs !== undefined) return {};
  const status = ask(parts, signal, (api) => api.status({}, { signal, deadlineMs: 2000 }));
  const { firstFrameMs } = await status.catch(() => ({ firstFrameMs: undefined }));
  return firstFrameMs === undefined ? {} : { firstFrameMs };
}

/** The guest stands still, at the switch: what is left of it goes, its disks first. */
export async function letGo(parts: SourceParts, signal: AbortSignal): Promise<void> {
  const session = await parts.guest.session(signal);
  await parts.disks.finish(parts, signal);
  await assertStopped(parts, signal);
  await session.continueSwitchover(signal);
}

/** How to start the guest anew, which has to be known before anything begins. */
async function launchOf(
  session: SourceSession,
  { name, driver }: GuestHandle,
  signal: AbortSignal,
): Promise<Launch> {
  if (session.launch !== undefined) return session.launch(signal);
  const reason = `the driver ${driver} cannot`;
  throw godwitError('GODWIT_RESTART', { guest: name, host: 'its source', reason });
}

/** The session; none where the source’s hypervisor has ended, which after handover is as it should be. */
async function sessionIfThere(
  parts: SourceParts,
  signal: AbortSignal,
): Promise<SourceSession | undefined> {
  try {
    return await parts.guest.session(signal);
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) return undefined;
    throw thrown;
  }
}

/** What is left of a step to do; a mover that took it over, or tries it again, looks first. */
async function actionOf(
  parts: SourceParts,
  step: 'memory' | 'switchover',
  signal: AbortSignal,
): Promise<StepAction> {
  const isFirst = !parts.tookOver() && parts.state().attempts === 0;
  if (isFirst) return decide(parts.state(), step);
  const { stream, reason } = await parts.guest.status(signal);
  const action = decide(parts.state(), step, stream);
  if (action !== 'broken') return action;
  throw godwitError('GODWIT_STREAM_FAILED', {
    guest: parts.request.request.guest,
    reason: reason ?? 'it ended while no mover listened',
  });
}
