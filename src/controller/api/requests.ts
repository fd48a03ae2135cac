import { access, constants } from 'node:fs/promises';
import type { Clock } from '../../clock.ts';
import { GodwitError, godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  isRequestEnd,
  newRequest,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import type { FleetRequestPlan, requestRoutes } from '../../protocol/controller/fleet-requests.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import type { Handlers } from '../../rpc/server.ts';
import type { FleetView, GuestSizes, HostCalls, ModeCalls } from '../engine/ports.ts';
import type { Requests } from '../store/requests.ts';
import type { ControllerConfig } from '../config.ts';
import { whyClosed, type World } from '../requests/facts.ts';
import { lineBetween } from '../site-map.ts';
import { checkMode } from '../requests/mode-ask.ts';
import { checkSites } from '../requests/evacuation.ts';
import { guestsToSize } from '../requests/guest-size.ts';
import { previewOf, storedWorld } from '../requests/preview.ts';

export interface RequestHandlerDependencies {
  readonly requests: Requests;
  readonly modes: ModeCalls;
  readonly sizes: GuestSizes;
  readonly hosts: Pick<HostCalls, 'open'>;
  readonly fleet: FleetView;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Log;
  readonly config: Pick<ControllerConfig, 'programs'>;
}

const CONFIRM_MS = 500;

export function requestHandlers({
  requests,
  modes,
  sizes,
  hosts: calls,
  fleet,
  clock,
  log,
  config,
}: RequestHandlerDependencies): Handlers<typeof requestRoutes> {
  const programs = Object.keys(config.programs);
  /** A host that does not answer opens by itself within minutes. */
  const confirmed = async (host: string, request: string): Promise<void> => {
    const over = new AbortController();
    const asked = calls.open(host, request).then((isOpen) => {
      if (!isOpen)
        log.warn({ host, request }, 'drained host did not confirm that it is open again');
    });
    const late = clock.sleep(CONFIRM_MS, over.signal).catch(() => {});
    await Promise.race([asked, late]);
    over.abort();
  };
  return {
    putRequest: async ({ params: { id }, query, body, caller }) => {
      let world = { ...(await requests.world()), ...(await fleet.look()) };
      const isDry = query.dryRun === 'true';
      const known = isDry ? undefined : await requests.sameAsked(id, body);
      if (known !== undefined) return { started: true, plan: previewOf(known, world) };
      let request = newRequest(id, body, { nowMs: world.nowMs, by: caller.name });
      checkAsk(body, world, programs);
      await checkProgram(config.programs[body.run ?? '']?.file);
      if (body.sites !== undefined) {
        const asked = guestsToSize(request, storedWorld(request, world));
        const line = lineBetween(world.siteLinks, body.sites);
        const found = await sizes.of(asked, body, line);
        const measured = found.line === undefined ? {} : { measuredLine: found.line };
        request = { ...request, sizes: found.sizes, ...measured };
        world = { ...(await requests.world()), ...(await fleet.look()) };
      }
      const plan = previewOf(request, storedWorld(request, world));
      checkDeadline(request, plan, world);
      if (isDry) return { started: false, plan };
      await requests.add(request);
      log.info({ request: id, ask: body, by: caller.name }, 'request accepted');
      return { started: true, plan };
    },
    requests: async () => ({ requests: await requests.list() }),
    request: ({ params }) => requests.get(params.id),
    cancelRequest: async ({ params: { id }, query, caller }) => {
      const how = query.rollBack === 'true' ? 'roll-back' : 'let-run';
      const accepted = await requests.cancel(id, how);
      log.info({ request: id, how, accepted, by: caller.name }, 'cancel requested');
      return { accepted };
    },
    undrain: async ({ params: { host }, caller }) => {
      const { marks } = await requests.world();
      if (!marks.has(host)) checkHost(host, (await fleet.look()).hosts);
      const request = marks.get(host)?.drainingFor;
      await leaveMode(request, { requests, modes });
      await requests.undrain(host);
      if (request !== undefined) await confirmed(host, request);
      log.info({ host, by: caller.name }, 'host open to guests again');
      return { ok: true };
    },
  };
}

/**
 * Takes a host out of its manager's maintenance mode after a drain. A host that is still being drained leaves it when
 * the drain is cancelled.
 */
async function leaveMode(
  id: string | undefined,
  { requests, modes }: Pick<RequestHandlerDependencies, 'requests' | 'modes'>,
): Promise<void> {
  if (id === undefined) return;
  const { request } = await requests.get(id);
  const { maintenanceMode: mode, phase } = request;
  if (mode === undefined || mode.found || !isRequestEnd(phase)) return;
  if (mode.phase === 'out' && mode.reason === undefined) return;
  const host = request.ask.hosts[0] ?? '';
  const heard = await modes.ask('leave', request);
  if (heard.of === 'refused') throw new GodwitError(heard.error);
  if (heard.of === 'sight') return;
  const reason = 'it stays closed: ask again once its manager answers';
  throw godwitError('GODWIT_UNREACHABLE', {
    peer: `the manager of ${host}`,
    address: host,
    reason,
  });
}

function checkAsk(ask: FleetRequestAsk, world: World, programs: readonly string[]): void {
  const isMigration = ask.kind === 'migration';
  if (isMigration ? ask.guest === undefined || ask.hosts.length > 0 : ask.hosts.length === 0) {
    const what = isMigration ? 'a migration names one guest' : `a ${ask.kind} names hosts`;
    throw godwitError('GODWIT_USAGE', { what });
  }
  if (ask.kind === 'drain' && ask.hosts.length > 1) {
    throw godwitError('GODWIT_USAGE', { what: 'a drain names one host, an evacuation several' });
  }
  if (new Set(ask.hosts).size < ask.hosts.length) {
    throw godwitError('GODWIT_USAGE', { what: 'a host is named twice' });
  }
  checkRoll(ask, programs);
  checkDead(ask, world);
  if (ask.cold === true && (ask.sites !== undefined || !['drain', 'evacuate'].includes(ask.kind)))
    throw godwitError('GODWIT_USAGE', {
      what: 'only a drain or an evacuation of hosts moves cold',
    });
  if (ask.insist !== undefined && ask.kind !== 'recover')
    throw godwitError('GODWIT_USAGE', { what: 'only a recovery starts guests by descriptions' });
  checkNames(ask, world);
  checkMode(ask, world);
  checkSites(ask, world);
  checkPlaces(ask, world);
}

/** A host that answers is refused, as it would be later. */
function checkDead({ kind, hosts }: FleetRequestAsk, world: World): void {
  if (kind !== 'recover') return;
  const alive = hosts.find((host) => {
    const known = world.hosts.get(host);
    return known !== undefined && known.silentSinceMs === undefined;
  });
  if (alive === undefined) return;
  const what = `${alive} answers: its guests are started elsewhere only once it is dead`;
  throw godwitError('GODWIT_USAGE', { what }, { hint: `\`godwit drain ${alive}\` empties it.` });
}

function checkRoll(
  { kind, run, comeBack, healthyWithinMs }: FleetRequestAsk,
  programs: readonly string[],
): void {
  if (kind !== 'roll') {
    if (run === undefined && comeBack === undefined && healthyWithinMs === undefined) return;
    throw godwitError('GODWIT_USAGE', { what: `a ${kind} runs no program` });
  }
  if (run === undefined) throw godwitError('GODWIT_USAGE', { what: 'a roll names a program' });
  if (programs.includes(run)) return;
  const hint =
    programs.length === 0
      ? 'Its configuration names none: see `programs` in docs/fleet.md.'
      : `It has ${programs.join(', ')}.`;
  throw godwitError('GODWIT_USAGE', { what: `the controller has no program ${run}` }, { hint });
}

/** Checked before any host is emptied for the program. */
async function checkProgram(file: string | undefined): Promise<void> {
  if (file === undefined) return;
  try {
    await access(file, constants.X_OK);
  } catch (cause) {
    throw godwitError('GODWIT_USAGE', { what: `${file} cannot be run` }, { cause });
  }
}

function checkNames(ask: FleetRequestAsk, world: World): void {
  const isSeen = ask.guest === undefined || world.guests.has(ask.guest);
  const isHeard = [...world.hosts.values()].every((each) => each.silentSinceMs === undefined);
  // The guest may be on a silent host.
  if (ask.guest !== undefined && !isSeen && isHeard) {
    throw godwitError('GODWIT_GUEST_UNKNOWN', { guest: ask.guest, host: 'any host' });
  }
  for (const host of [...ask.hosts, ...(ask.to ?? [])]) {
    checkHost(host, world.hosts);
  }
}

function checkHost(host: string, hosts: World['hosts']): void {
  if (hosts.has(host)) return;
  const near = didYouMean(host, [...hosts.keys()]);
  throw godwitError('GODWIT_HOST_UNKNOWN', { host }, near === undefined ? {} : { hint: near });
}

function checkPlaces(ask: FleetRequestAsk, world: World): void {
  const isOpen = (host: string): boolean => whyClosed(world, host) === undefined;
  const closed = ask.kind === 'roll' ? ask.hosts.slice(0, 1) : ask.hosts;
  const target = ask.kind === 'roll' ? undefined : ask.to?.find((host) => ask.hosts.includes(host));
  if (target !== undefined) {
    throw godwitError('GODWIT_USAGE', { what: `${target} cannot be emptied and filled at once` });
  }
  const others = [...world.hosts.keys()].filter((host) => !closed.includes(host) && isOpen(host));
  if (others.length === 0) {
    const hint =
      'Every other host is drained or noted for maintenance, or there is none. `godwit hosts` shows them; `godwit undrain HOST` opens one.';
    throw godwitError('GODWIT_USAGE', { what: 'no host is left for the guests' }, { hint });
  }
}

function checkDeadline({ ask }: FleetRequest, plan: FleetRequestPlan, { nowMs }: World): void {
  const { late, seconds, through = 'no link is the limit' } = plan;
  // A roll starts no host after its deadline, and finishes the running one. An evacuation of a site leaves and reports
  // guests that would be late.
  if (ask.sites !== undefined) return;
  if (ask.kind === 'roll' || ask.deadlineAtMs === undefined || late.length === 0) return;
  throw godwitError('GODWIT_REQUEST_LATE', {
    count: late.length,
    left: formatDuration(Math.max(0, ask.deadlineAtMs - nowMs)),
    needed: formatDuration(seconds * 1000),
    through,
  });
}
