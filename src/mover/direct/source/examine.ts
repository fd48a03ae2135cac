import { countedChecks } from '../../../migration/direct/cold.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import {
  judgeSwitchover,
  statedBytes,
  type DeviceState,
} from '../../../migration/preflight/switchover.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import { judgePlugs } from '../../../migration/preflight/plug.ts';
import { judgeUnjudgedSettings } from '../../../migration/preflight/port-settings.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { BalloonTake } from '../../../migration/prediction/ballooned-mix.ts';
import { lookAtBalloon } from './stream/balloon.ts';
import { assessStream, streamFrom } from './stream/choose-data-path.ts';
import { networksOf } from './network/networks.ts';
import { askAhead, preparation, settingsNow, type LookDependencies } from './source-base.ts';
import { proveStorage, type StorageFound } from './disks/storage.ts';

/**
 * All that is looked at before anything is built. The steps `inspect` and `assess` of a migration are made of it, and so is
 * a check without a migration: there is no other list.
 */

/** What the hypervisor and the host of the guest report of it. */
export interface Inspected {
  readonly checks: readonly Check[];
  /** With `--balloon`: what may be taken of it. */
  readonly balloon?: BalloonTake | undefined;
  /** What drivers of its devices say that they send while it is stopped. */
  readonly stateBytes: number;
  /** What follows for the migration; to be asked for only where no check refuses. */
  readonly facts: (signal: AbortSignal) => Promise<StepFacts>;
}

/** Describes the guest, and judges it as far as its own host can. */
export async function inspectGuest(
  deps: LookDependencies,
  signal: AbortSignal,
): Promise<Inspected> {
  const {
    description,
    checks,
    nics,
    unplugged,
    deviceStates = [],
    handsOverMs,
    resumesMs,
    snapshot,
    identities,
  } = await deps.guest.inspect(signal);
  const balloon = await lookAtBalloon(deps, signal);
  return {
    checks: [
      ...countedChecks([...checks, ...switchoverChecks(deps, deviceStates)], deps.state()),
      ...balloon.checks,
    ],
    balloon: balloon.take,
    stateBytes: statedBytes(deviceStates),
    facts: async (within) => {
      const session = await deps.guest.session(within);
      const ports = await session.ports(within);
      const networks = await networksOf(deps, nics, within);
      const attached = networks === undefined ? {} : { networks };
      const stream = await streamFrom(deps, session, within);
      const devices = unplugged === undefined ? {} : { unplugged: [...unplugged] };
      const handsOver = handsOverMs === undefined ? {} : { handsOverMs };
      const resumes = resumesMs === undefined ? {} : { resumesMs };
      const before = snapshot === undefined ? {} : { snapshot };
      const times = { ...handsOver, ...resumes };
      const known = identities === undefined ? {} : { identities };
      const facts = { ...attached, ...devices, ...before, ...times, ...known };
      return { description, ports, ...facts, ...stream };
    },
  };
}

function switchoverChecks(deps: LookDependencies, devices: readonly DeviceState[]): NamedCheck[] {
  const { mode, maxDowntimeMs, maxBandwidth } = settingsNow(deps);
  // A guest that is started anew brings no state of devices.
  if (mode === 'cold') return [];
  const found = judgeSwitchover({ devices, maxDowntimeMs, bytesPerS: maxBandwidth });
  return found.map((each) => ({ name: 'switchover', side: 'source', ...each }));
}

/** What the destination has for the guest's disks. What was written for the proof is gone when this resolves. */
export async function examineStorage(
  deps: LookDependencies,
  signal: AbortSignal,
): Promise<{
  readonly storage: StorageFound;
  readonly facts: Pick<StepFacts, 'places' | 'bases'>;
}> {
  const storage = await proveStorage(deps, signal);
  return {
    storage,
    facts: {
      ...(storage.places.length === 0 ? {} : { places: [...storage.places] }),
      ...(storage.bases.length === 0 ? {} : { bases: [...storage.bases] }),
    },
  };
}

/** What the destination says of the guest, its disks being where `found` has them. */
export async function assessGuest(
  deps: LookDependencies,
  { storage, facts }: Awaited<ReturnType<typeof examineStorage>>,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly Check[]; readonly facts: StepFacts }> {
  const wanted = storage.copies.length === 0 ? {} : { copies: [...storage.copies] };
  const body = { ...preparation(deps), ...facts, ...wanted };
  const { answer, ...stream } = await assessStream(deps, body, (asked) =>
    askAhead(deps, signal, (api) => api.assess({ body: asked }, { signal, deadlineMs: 15_000 })),
  );
  const { copies } = answer;
  const below = storage.below.map((files) => [...files]);
  const disks = copies === undefined ? {} : { copies, copied: [...storage.copied], below };
  const { plan } = deps.state();
  const checks = [
    ...answer.checks,
    ...judgePlugs(plan, answer.plugs),
    ...judgeUnjudgedSettings(plan.to, body.networks, answer.portSettings),
  ];
  return { checks, facts: { ...facts, ...disks, ...stream } };
}
