import { driverSaid } from '../../../drivers/registry.ts';
import { godwitError } from '../../../errors.ts';
import { countedChecks, isCold } from '../../../migration/direct/cold.ts';
import type { StepFacts } from '../../../migration/direct/source/source-state.ts';
import { changedSinceAsked } from '../../../migration/guest-changes/asked.ts';
import type { BalloonTake } from '../../../migration/prediction/ballooned-mix.ts';
import { judgeGivesBack } from '../../../migration/preflight/balloon.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { Finding } from '../../../migration/preflight/finding.ts';
import {
  judgeSiteCheck,
  judgeTransport,
  type HostsFacts,
} from '../../../migration/preflight/hosts.ts';
import { hostChecks } from '../../../migration/preflight/judge.ts';
import { judgePlugs } from '../../../migration/preflight/plug.ts';
import { judgeUnjudgedSettings } from '../../../migration/preflight/port-settings.ts';
import {
  judgeSwitchover,
  statedBytes,
  type DeviceState,
} from '../../../migration/preflight/switchover.ts';
import type { CheckName } from '../../../migration/preflight/table.ts';
import type { Launch, SourceSession } from '../../../port/direct.ts';
import type { Inspection } from '../../../port/inspection.ts';
import type { GuestHandle } from '../../../port/inventory.ts';
import { defined } from '../../../protocol/defined.ts';
import type { SourceMoverRequest } from '../../../protocol/mover/request.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Admission } from '../../../protocol/peer/migration.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import { firstHops } from '../../../protocol/relay.ts';
import type { WireOffer } from '../../../protocol/wire.ts';
import { refuseOn } from '../../engine/refused-by-checks.ts';
import { NOTHING, proveStorage, type StorageFound } from './disks/storage.ts';
import { networksOf, routesTo } from './network/networks.ts';
import type { SourceGuest } from './guest/guest.ts';
import type { AdmissionAnswer } from './peer.ts';
import {
  askAhead,
  preparation,
  settingsNow,
  type LookDependencies,
  type LookPeer,
} from './source-base.ts';
import { lookAtBalloon } from './stream/balloon.ts';
import { assessStream, chooseDataPath, streamFrom } from './stream/choose-data-path.ts';

export type StepDependencies = LookDependencies & {
  readonly hostFacts: () => Promise<HostFacts>;
  readonly request: Pick<
    SourceMoverRequest,
    'handle' | 'vcpus' | 'macs' | 'unbridged' | 'lineage' | 'labels' | 'returns'
  >;
  readonly guest: Pick<SourceGuest, 'neededBytes'>;
  readonly peer: AdmittingPeer;
};

export interface AdmittingPeer extends LookPeer {
  /** host:port of its agent on each link, the main one first. */
  readonly addresses: readonly string[];
  /** Undefined if the peer answers nothing before a migration. */
  admit(admission: Admission, signal: AbortSignal): Promise<AdmissionAnswer | undefined>;
}

/**
 * Looks of the steps `admit`, `inspect` and `assess`, before anything is built. A migration takes them as steps of
 * lifecycle.ts, and a check without a migration; there is no other list.
 */
export type Look = (
  deps: StepDependencies,
  findings: Findings,
  signal: AbortSignal,
) => Promise<GuestExamination | undefined>;

/** Undefined if the look failed, which only a check survives. */
export interface GuestExamination {
  readonly facts: StepFacts;
  readonly wire?: WireOffer | undefined;
  readonly balloon?: BalloonTake | undefined;
  /** State that device drivers report to send during the stop. */
  readonly stateBytes?: number;
}

/** Handles findings: a migration ends at the first refusal, and a check reports all. */
export interface Findings {
  readonly checks: readonly Check[];
  report(checks: readonly Check[]): void;
  /** `name`: check that reports a failure of `work`; undefined if another one does. */
  attempt<T>(name: CheckName | undefined, work: () => Promise<T>): Promise<T | undefined>;
}

export async function lookAsStep(
  look: Look,
  deps: StepDependencies,
  signal: AbortSignal,
): Promise<GuestExamination> {
  const checks: Check[] = [];
  const findings: Findings = {
    checks,
    report: (found) => {
      checks.push(...found);
      refuseOn(checks);
    },
    attempt: (_name, work) => work(),
  };
  const looked = await look(deps, findings, signal);
  return { ...looked, facts: { ...looked?.facts, checks } };
}

export async function admissionOf(
  deps: StepDependencies,
  { attempt }: Pick<Findings, 'attempt'>,
  signal: AbortSignal,
): Promise<Admission> {
  const { guest, request, state, config } = deps;
  const { epoch, settings } = state().plan;
  const { vcpus, macs, lineage, labels, returns, memoryBytes: listed } = request;
  // `inspect` meets the same failures and reports them.
  const needed = await attempt(undefined, () => guest.neededBytes(listed, signal));
  const isRouted = request.unbridged === true;
  const routes = isRouted ? await attempt(undefined, () => routesTo(deps, signal)) : undefined;
  return {
    id: request.id,
    guest: request.request.guest,
    from: config.name,
    memoryBytes: needed ?? listed,
    ...defined({ vcpus, macs }),
    ...(routes === undefined || routes.length === 0 ? {} : { routes }),
    epoch,
    timeoutMs: settings.timeoutMs,
    settings,
    ...defined({ lineage, labels }),
    ...driverSaid(request.handle.driver),
    ...defined({ returns }),
  };
}

export const admit: Look = async (deps, findings, signal) => {
  const { peer, request, config } = deps;
  const { to, settings } = deps.state().plan;
  const admission = await admissionOf(deps, findings, signal);
  const { memoryBytes } = admission;
  const answered = await findings.attempt('destination', async () => {
    const source = await deps.hostFacts();
    const answer = await peer.admit(admission, signal);
    return answer && { source, ...answer };
  });
  if (answered === undefined) return undefined;
  const { checks = [], moverAddress, wire, host, path, ...facts } = answered;
  const hosts = checksOfHosts({
    to,
    destination: host,
    ...facts,
    ...path,
    link: request.link,
    memoryBytes,
    mayPostcopy: settings.mode !== 'precopy',
    paths: firstHops(peer.addresses, config.relays),
    transport: settings.transport,
    siteCheck: settings.returnIfUnhealthy?.check,
    balloon: settings.balloon,
  });
  findings.report([...checks, ...hosts]);
  const chosen = await findings.attempt('path', () =>
    chooseDataPath(deps, { wire, memoryBytes }, signal),
  );
  return { facts: { ...defined({ moverAddress }), ...chosen }, wire };
};

/** An older destination sends no facts about itself. */
type HostReports = Omit<HostsFacts, 'destination'> & {
  readonly to: string;
  readonly destination: HostFacts | undefined;
};

/** Checks on both hosts' facts; without the destination's, only those that cannot be skipped. */
export function checksOfHosts({ to, destination, ...facts }: HostReports): Check[] {
  if (destination !== undefined) return hostChecks({ ...facts, destination });
  // Requests that it would silently ignore.
  const { siteCheck, source, transport, balloon } = facts;
  const unsaid = { name: to };
  const named = (name: CheckName, findings: readonly Finding[]): Check[] =>
    findings.map((finding) => ({ name, side: 'both', ...finding }));
  return [
    ...named('transport', judgeTransport({ source, destination: unsaid, transport })),
    ...named('gives-back', judgeGivesBack({ destination: unsaid, balloon })),
    ...named('site-check', judgeSiteCheck({ destination: unsaid, siteCheck })),
  ];
}

export const inspect: Look = async (deps, findings, signal) => {
  const found = await findings.attempt('state', async () => ({
    inspection: await deps.guest.inspect(signal),
    balloon: await lookAtBalloon(deps, signal),
  }));
  if (found === undefined) return undefined;
  const { inspection, balloon } = found;
  const { deviceStates = [] } = inspection;
  const own = [...inspection.checks, ...switchoverChecks(deps, deviceStates)];
  findings.report([...countedChecks(own, deps.state()), ...balloon.checks]);
  const facts = await findings.attempt('network', () => describe(deps, inspection, signal));
  await findings.attempt('state', async () => assertAsAsked(deps, facts));
  const launch = await findings.attempt('restart', () => launchAgain(deps, signal));
  return {
    facts: { ...facts, ...launch },
    balloon: balloon.take,
    stateBytes: statedBytes(deviceStates),
  };
};

async function describe(
  deps: LookDependencies,
  inspection: Inspection,
  signal: AbortSignal,
): Promise<StepFacts> {
  const { description, nics, unplugged } = inspection;
  const { handsOverMs, resumesMs, snapshot, identities } = inspection;
  const session = await deps.guest.session(signal);
  const ports = await session.ports(signal);
  const networks = await networksOf(deps, nics, signal);
  const stream = await streamFrom(deps, session, signal);
  return {
    description,
    ports,
    ...defined({ networks, unplugged: unplugged && [...unplugged], snapshot, identities }),
    ...defined({ handsOverMs, resumesMs }),
    ...stream,
  };
}

function switchoverChecks(deps: LookDependencies, devices: readonly DeviceState[]): NamedCheck[] {
  const { mode, maxDowntimeMs, maxBandwidth } = settingsNow(deps);
  // A guest that boots again brings no device state.
  if (mode === 'cold') return [];
  const found = judgeSwitchover({ devices, maxDowntimeMs, bytesPerS: maxBandwidth });
  return found.map((each) => ({ name: 'switchover', side: 'source', ...each }));
}

/** GODWIT_GUEST_CHANGED if the guest is not the one that the destination was asked to admit. */
function assertAsAsked(
  { request }: StepDependencies,
  { description, networks }: Pick<StepFacts, 'description' | 'networks'> = {},
): void {
  const now = { vcpus: description?.vcpus, macs: networks?.map(({ mac }) => mac) };
  const what = changedSinceAsked(request, now);
  if (what === undefined) return;
  throw godwitError('GODWIT_GUEST_CHANGED', { guest: request.request.guest, what });
}

/** How to start the guest here again, if the migration may have to. */
async function launchAgain(
  { guest, state, request }: StepDependencies,
  signal: AbortSignal,
): Promise<Pick<StepFacts, 'launch'>> {
  const restarts = state().plan.settings.onLost === 'restart';
  if (!restarts && !isCold(state())) return {};
  const session = await guest.session(signal);
  // State that stays until the source is retired need not be restored.
  if (isCold(state()) && session.waitsForRetire === true) return {};
  return { launch: await launchOf(session, request.handle, signal) };
}

/** GODWIT_RESTART if the guest's driver does not report how it was started. */
export async function launchOf(
  session: SourceSession,
  { name, driver }: GuestHandle,
  signal: AbortSignal,
): Promise<Launch> {
  if (session.launch !== undefined) return session.launch(signal);
  const reason = `the driver ${driver} cannot`;
  throw godwitError('GODWIT_RESTART', { guest: name, host: 'its source', reason });
}

const isRefusal = ({ verdict }: Check): boolean => verdict === 'refuse';

/** The destination checks the description, with the places of the guest's disks. */
export const assess: Look = async (deps, findings, signal) => {
  const proved = await findings.attempt('disks', () => proveStorage(deps, signal));
  const storage = proved ?? NOTHING;
  findings.report(storage.checks);
  await findings.attempt('restart', async () => mustNotCopy(deps, storage));
  // The destination gets only a part of a guest that is refused: an error of its may be due to that.
  const name = findings.checks.some(isRefusal) ? undefined : 'destination';
  const reported = await findings.attempt(name, () => assessGuest(deps, storage, signal));
  if (reported === undefined) return undefined;
  const isWhole = proved !== undefined && !storage.checks.some(isRefusal);
  const { checks, facts } = reported;
  findings.report(isWhole ? checks : checks.filter((each) => each.name !== 'disks'));
  return { facts };
};

/** GODWIT_RESTART if a lost guest would start from images that lack its writes at the destination. */
function mustNotCopy({ state }: LookDependencies, { copies }: StorageFound): void {
  const { guest, from, to, settings } = state().plan;
  if (settings.onLost !== 'restart' || copies.length === 0) return;
  const reason = `its disks are copied, and what it writes at ${to} would be missing from them`;
  const hint = 'Leave out `--on-lost restart`, or put its disks on storage that both hosts see.';
  throw godwitError('GODWIT_RESTART', { guest, host: from, reason }, { hint });
}

/** Asks the destination to check the guest, with its disks in the places of `storage`. */
export async function assessGuest(
  deps: LookDependencies,
  { places, bases, copies: wanted, ...storage }: StorageFound,
  signal: AbortSignal,
): Promise<{ readonly checks: readonly Check[]; readonly facts: StepFacts }> {
  const facts = {
    ...(places.length === 0 ? {} : { places: [...places] }),
    ...(bases.length === 0 ? {} : { bases: [...bases] }),
  };
  const toCopy = wanted.length === 0 ? {} : { copies: [...wanted] };
  const body = { ...preparation(deps), ...facts, ...toCopy };
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
