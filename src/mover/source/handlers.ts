import { rmSync } from 'node:fs';
import path from 'node:path';
import { GodwitError, godwitError } from '../../errors.ts';
import { withDeadline } from '../../deadline.ts';
import type { AgentConfig } from '../../config.ts';
import type { StreamSetup } from '../../drivers/driver.ts';
import { sourceMayResume } from '../../migration/run-right.ts';
import type { SourceEvent, SourceState, StepFacts } from '../../migration/source-state.ts';
import { STEPS } from '../../migration/steps.ts';
import type { StepName } from '../../migration/steps.ts';
import { removeTap } from '../../network/tap.ts';
import type { Check } from '../../protocol/migration.ts';
import type { GuestDescription, Preparation } from '../../protocol/peer.ts';
import type { SourceMoverRequest } from '../../protocol/mover-request.ts';
import type { SourceGuest } from './guest.ts';
import type { DestinationPeer } from './peer.ts';

/** What the steps work with. */
export interface SourceParts {
  readonly config: AgentConfig;
  readonly request: SourceMoverRequest;
  readonly dir: string;
  readonly guest: SourceGuest;
  readonly peer: DestinationPeer;
  /** This mover did not begin the migration: what it is told to do may be half done already. */
  readonly tookOver: () => boolean;
  readonly state: () => SourceState;
  readonly dispatch: (event: SourceEvent) => void;
}

type Handler = (parts: SourceParts, signal: AbortSignal) => Promise<StepFacts>;

/** A refusal with everything that was checked, so that the report can show it. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly error: GodwitError;
  readonly checks: readonly Check[];

  constructor(error: GodwitError, checks: readonly Check[]) {
    super(error.message, { cause: error });
    this.error = error;
    this.checks = checks;
  }
}

/** Time that the destination may be out of reach while its refusal is needed, ms. */
const REFUSAL_MS = 60_000;

/** How each step is done. Each may run twice: a mover that takes over repeats the one that was under way. */
export const DO: Readonly<Record<StepName, Handler>> = {
  admit: async ({ guest, peer, request, state, config }, signal) => {
    const { epoch, settings } = state().plan;
    // Reading the guest may begin while the destination’s mover starts.
    guest.inspect(signal).catch(() => {});
    const moverAddress = await peer.admit(
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
    return { moverAddress };
  },

  inspect: async ({ guest }, signal) => {
    const { description, checks } = await guest.inspect(signal);
    refuseOn(checks);
    const ports = await (await guest.session(signal)).ports(signal);
    return { description, checks: [...checks], ports };
  },

  assess: async (parts, signal) => {
    const body = preparation(parts);
    const { checks } = await ask(parts, signal, (api) =>
      api.assess({ body }, { signal, deadlineMs: 15_000 }),
    );
    refuseOn(checks);
    return { checks };
  },

  prepare: async (parts, signal) => {
    const body = preparation(parts);
    return ask(parts, signal, (api) => api.prepare({ body }, { signal, deadlineMs: 60_000 }));
  },

  configure: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    await session.configure(streamSetup(parts), signal);
    return {};
  },

  // The source’s own armed(epoch) is the synced record that began this step.
  arm: async (parts, signal) => {
    const body = { epoch: parts.state().plan.epoch };
    await ask(parts, signal, (api) => api.arm({ body }, { signal, deadlineMs: 10_000 }));
    return {};
  },

  memory: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    const { memoryAddress, tlsHostname } = parts.state().known;
    if (memoryAddress === undefined) throw missing('memoryAddress');
    if (parts.tookOver()) {
      const status = await session.status(signal);
      // The stream’s own events, which come with the session, tell the rest.
      if (status.stream !== 'none') return {};
    }
    await session.startMemory(memoryAddress, tlsHostname, signal);
    return {};
  },

  switchover: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    const { stream } = await statusIfTakenOver(parts, signal);
    if (parts.state().via === 'postcopy') {
      if (stream === 'active') await session.startPostcopy(signal);
      else if (stream === 'pre-switchover') await session.continueSwitchover(signal);
    } else if (stream === 'active' || stream === 'pre-switchover') {
      await session.continueSwitchover(signal);
    }
    return {};
  },

  commit: async (parts, signal) => {
    const body = { epoch: parts.state().plan.epoch };
    const running = await ask(parts, signal, (api) =>
      api.commit({ body }, { signal, deadlineMs: 30_000 }),
    );
    return { running };
  },

  drain: async (parts, signal) => {
    await parts.guest.session(signal);
    return {};
  },

  verify: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    const sample = await session.sample(signal).catch(() => undefined);
    if (sample !== undefined) parts.dispatch({ type: 'measured', sample, final: true });
    const here = await session.status(signal);
    if (here.run === 'running') {
      const reason =
        'the source was found running after the destination had been given the right to run';
      throw godwitError('GODWIT_HELD', { guest: parts.request.request.guest, reason });
    }
    const there = await ask(parts, signal, (api) => api.status({}, { signal, deadlineMs: 5000 }));
    if (there.hypervisor === 'gone') {
      const reason = there.error?.message ?? 'its hypervisor at the destination ended';
      throw godwitError('GODWIT_LOST', { guest: parts.request.request.guest, reason });
    }
    return {};
  },

  retire: async (parts, signal) => {
    const { guest, config, request, state } = parts;
    const session = await guest.session(signal).catch((thrown: unknown) => {
      // After a takeover it may be gone already; that is what this step is for.
      if (parts.tookOver() && thrown instanceof GodwitError) return undefined;
      throw thrown;
    });
    await session?.quit(signal);
    for (const port of state().known.ports ?? []) await removeTap(port, signal);
    const guestDir = path.join(config.stateDir, 'guests', request.request.guest);
    rmSync(guestDir, { recursive: true, force: true });
    return {};
  },

  finish: async (parts, signal) => {
    const body = { epoch: parts.state().plan.epoch };
    await ask(parts, signal, (api) => api.finish({ body }, { signal, deadlineMs: 10_000 }));
    return {};
  },
};

type Undo = (parts: SourceParts, signal: AbortSignal) => Promise<void>;

/** How each step is undone; the table says which have an undo. Each may run twice, and on a step half done. */
export const UNDO: Readonly<Partial<Record<StepName, Undo>>> = {
  admit: async (parts, signal) => {
    if (!parts.peer.known) return;
    const body = { epoch: parts.state().plan.epoch };
    await ask(parts, signal, (api) => api.release({ body }, { signal, deadlineMs: 15_000 }));
  },

  configure: async (parts, signal) => {
    const session = await parts.guest.session(signal);
    const { run } = await session.status(signal);
    if (run !== 'gone') await session.unconfigure(signal);
  },

  // Its word is welcome but not needed: this side has sent no commit under the epoch and, by the record, never will.
  arm: async (parts, signal) => {
    if (!parts.peer.known) return;
    const body = { epoch: parts.state().plan.epoch };
    await parts.peer.once((api) => api.refuse({ body }, { signal, deadlineMs: 5000 }));
  },

  memory: regain,
  switchover: regain,
};

/** Ends with the guest running here, or with GODWIT_HELD where the destination’s word is needed and not to be had. */
async function regain(parts: SourceParts, signal: AbortSignal): Promise<void> {
  const session = await parts.guest.session(signal);
  const status = await session.cancel(signal);
  if (status.run === 'running' || status.run === 'gone') return;
  const body = { epoch: parts.state().plan.epoch };
  try {
    await withDeadline('the destination’s refusal', REFUSAL_MS, signal, (bounded) =>
      ask(parts, bounded, (api) => api.refuse({ body }, { signal: bounded, deadlineMs: 10_000 })),
    );
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const reason = `everything was handed over and the destination gave no refusal: ${why}`;
    throw godwitError('GODWIT_HELD', { guest: parts.request.request.guest, reason }, { cause });
  }
  if (!sourceMayResume(parts.state().right, true)) {
    const reason = 'the destination has had the right to run';
    throw godwitError('GODWIT_HELD', { guest: parts.request.request.guest, reason });
  }
  await session.resumeGuest(signal);
}

/** A step’s deadline, ms; the whole migration’s where the table says so. */
export function deadlineOf(step: StepName, timeoutMs: number): number {
  const { deadline } = STEPS[step];
  return deadline === 'timeout' ? timeoutMs : deadline;
}

export function streamSetup(parts: SourceParts): StreamSetup {
  const { settings, to } = parts.state().plan;
  const pki = parts.config.pkiDir ?? path.join(parts.config.stateDir, 'pki');
  return {
    mode: settings.mode,
    streams: settings.streams,
    compress: settings.compress,
    tls: true,
    maxDowntimeMs: settings.maxDowntimeMs,
    ...(settings.maxBandwidth === undefined ? {} : { maxBandwidth: settings.maxBandwidth }),
    credentials: {
      caFile: path.join(pki, 'ca.crt'),
      certFile: path.join(pki, 'host.crt'),
      keyFile: path.join(pki, 'host.key'),
      directory: path.join(parts.dir, 'tls'),
      peer: to,
    },
  };
}

function preparation(parts: SourceParts): Preparation {
  const { plan, known } = parts.state();
  const { mode, streams, compress } = plan.settings;
  return {
    epoch: plan.epoch,
    description: describe(known.description),
    stream: { mode, streams, compress, tls: true },
  };
}

function describe(description: GuestDescription | undefined): GuestDescription {
  if (description === undefined) throw missing('description');
  return description;
}

async function statusIfTakenOver(
  parts: SourceParts,
  signal: AbortSignal,
): Promise<{ stream: string }> {
  const fresh = parts.state().via === 'postcopy' ? 'active' : 'pre-switchover';
  if (!parts.tookOver()) return { stream: fresh };
  return (await parts.guest.session(signal)).status(signal);
}

function ask<T>(
  parts: SourceParts,
  signal: AbortSignal,
  question: Parameters<DestinationPeer['call']>[2] extends (api: infer A) => unknown
    ? (api: A) => Promise<T>
    : never,
): Promise<T> {
  const { moverAddress } = parts.state().known;
  if (moverAddress !== undefined) parts.peer.resume(moverAddress);
  return parts.peer.call(parts.request.id, signal, question);
}

function refuseOn(checks: readonly Check[]): void {
  const first = checks.find((check) => check.verdict === 'refuse');
  if (first === undefined) return;
  const reason = `${first.name}: ${first.evidence}`;
  const error =
    first.error === undefined
      ? godwitError('GODWIT_STEP_FAILED', { step: first.name, reason })
      : new GodwitError(first.error);
  throw new Refusal(error, checks);
}

function missing(what: string): GodwitError {
  return godwitError('GODWIT_INTERNAL', { what: `${what} is not known at this step` });
}
