import {
  MAX_GUESTS,
  type Move,
  type PlannedStep,
  type Waiting,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import { admit, memberAt, type Entry } from './admission.ts';
import type { RemainingWork } from './candidates.ts';
import { goesCold, labelsOf, noticeMsOf, ownOf, whyClosed, type World } from './facts.ts';
import { isTaken, roomBytes } from './room.ts';
import { planFor } from './plan.ts';
import { withStarts } from './queue.ts';
import { settingsFor } from './evacuation.ts';
import { isRecovery, recoversOf } from './recover.ts';

export interface Standing {
  readonly request: FleetRequest;
  readonly left: RemainingWork;
  readonly open: readonly Move[];
  readonly world: World;
}

export interface BeginResult {
  readonly request: FleetRequest;
  readonly moves: readonly Move[];
  readonly queue: readonly Waiting[];
}

/** Minimum time between plans that are renewed because a guest has no place, or lost it. */
export const REPLAN_MS = 5000;

export function begin(
  standing: Standing,
  { epoch, ids }: { readonly epoch: number; readonly ids: readonly string[] },
): BeginResult {
  const { left, open, world } = standing;
  const request = withPlan(standing);
  const froms = new Map(left.candidates.map(({ guest, from }) => [guest, from]));
  const order = request.order.filter(({ guest }) => froms.has(guest));
  const entries = order.map(({ guest, to }): Entry => {
    const memoryBytes = world.guests.get(guest)?.memoryBytes ?? 0;
    const notBeforeMs = ownOf(request.tries, guest)?.notBeforeMs ?? 0;
    const recovers = isRecovery(request);
    return { guest, from: froms.get(guest) ?? '', to, memoryBytes, notBeforeMs, recovers };
  });
  const most = Math.min(request.ask.maxParallel ?? Infinity, request.parallel);
  const { priority } = request.ask;
  const requester = { request: request.id, priority, most, begin: ids.length };
  const admitted = admit(entries, requester, world);
  const seconds = new Map(order.map((each) => [each.guest, each.seconds]));
  const moves = admitted.begin.map((entry, place) =>
    newMove(entry, request, world, {
      id: ids[place] ?? '',
      epoch,
      seconds: seconds.get(entry.guest) ?? 0,
      step: order.find(({ guest }) => guest === entry.guest),
    }),
  );
  const homeless = left.candidates.filter(({ guest }) => !seconds.has(guest));
  const queue = withStarts(
    [...admitted.waiting, ...homeless.map((each) => homelessEntry(each, request)), ...left.waiting],
    { nowMs: world.nowMs, parallel: most, running: [...open, ...moves], seconds },
  );
  const begun = new Set(moves.map(({ guest }) => guest));
  return {
    request: { ...request, order: order.filter(({ guest }) => !begun.has(guest)) },
    moves,
    queue,
  };
}

function homelessEntry(
  { guest, from }: { readonly guest: string; readonly from: string },
  { refused, tries }: FleetRequest,
): Waiting {
  const why = ownOf(refused, guest) ?? 'it is planned at the next look';
  const count = ownOf(tries, guest)?.count ?? 0;
  const words = count === 0 ? why : `${why}; tried ${count} times`;
  return { guest, from, waitsFor: 'plan', words };
}

interface NewMove {
  readonly id: string;
  readonly epoch: number;
  readonly seconds: number;
  readonly step: PlannedStep | undefined;
}

function newMove(
  { guest, from, to, memoryBytes }: Entry,
  request: FleetRequest,
  world: World,
  { id, epoch, seconds, step }: NewMove,
): Move {
  const labels = labelsOf(world, guest);
  const labelled = 'words' in labels ? undefined : labels.maxDowntimeMs;
  const settings = settingsFor(request, world, step);
  const asked = settings.maxDowntimeMs ?? Infinity;
  const noticeMs = noticeMsOf(guest, request, world);
  return {
    id,
    request: request.id,
    guest,
    from,
    to,
    attempt: (ownOf(request.tries, guest)?.count ?? 0) + 1,
    phase: 'chosen',
    askedEpoch: epoch,
    memoryBytes,
    ...(step?.bytes === undefined ? {} : { bytes: step.bytes }),
    seconds,
    createdAtMs: world.nowMs,
    settled: false,
    ...(isRecovery(request) ? { recovers: recoversOf({ guest, from }, request, world) } : {}),
    settings: {
      ...settings,
      ...(goesCold(guest, request, world) ? { mode: 'cold' as const } : {}),
      ...(labelled === undefined ? {} : { maxDowntimeMs: Math.min(labelled, asked) }),
      ...(noticeMs === 0 ? {} : { noticeMs }),
    },
  };
}

function withPlan({ request, left, open, world }: Standing): FleetRequest {
  const placed = new Map(request.order.map((each) => [each.guest, each.to]));
  const readyAt = (guest: string): number => ownOf(request.tries, guest)?.notBeforeMs ?? 0;
  const ready = left.candidates.filter(({ guest }) => readyAt(guest) <= world.nowMs);
  const homeless = ready.filter(({ guest }) => !placed.has(guest));
  // A guest that the plan did not refuse came after it.
  const isNew = homeless.some(
    ({ guest }) =>
      ownOf(request.refused, guest) === undefined || request.plannedAtMs < readyAt(guest),
  );
  const isOld = world.nowMs - request.plannedAtMs >= REPLAN_MS;
  const isOf = (guest: string): boolean => {
    const to = placed.get(guest);
    return to !== undefined && isUsable(world, to, guest);
  };
  // If its host's limit is reached, choosing another place is useless.
  const mayLeave = (from: string): boolean =>
    isRecovery(request) ||
    world.reservations.filter(({ source }) => source === from).length <
      (world.marks.get(from)?.outLimit ?? world.limits.outPerHost);
  // A place that is taken meanwhile is replaced if there is a free one.
  const isTakenFrom = (guest: string, from: string): boolean =>
    isTaken(world, placed.get(guest) ?? '') &&
    othersFor(request, from, world).some(
      (host) => !isTaken(world, host) && isUsable(world, host, guest),
    );
  const isAmiss =
    isOld &&
    ready.some(({ guest, from }) => mayLeave(from) && (!isOf(guest) || isTakenFrom(guest, from)));
  // Moves with a deadline or budget need a current plan.
  const isByDeadline = request.ask.sites !== undefined && (isOld || open.length < request.parallel);
  if (!isNew && !isByDeadline && !isAmiss) return request;
  const guests = left.candidates.map(({ guest }) => guest);
  const plan = planFor(request, guests, world, open);
  const order = plan.steps.slice(0, MAX_GUESTS);
  const planned = new Set(plan.steps.map(({ guest }) => guest));
  const ordered = new Set(order.map(({ guest }) => guest));
  const reasonFor = (guest: string): string =>
    planned.has(guest)
      ? 'others of it go first'
      : (plan.refused.get(guest) ?? 'the plan has no place for it');
  return {
    ...request,
    order,
    parallel: Math.max(1, plan.parallel),
    plannedAtMs: world.nowMs,
    refused: Object.fromEntries(
      guests.filter((guest) => !ordered.has(guest)).map((guest) => [guest, reasonFor(guest)]),
    ),
  };
}

function othersFor({ ask }: FleetRequest, from: string, { hosts }: World): readonly string[] {
  const here = hosts.get(from);
  return (
    ask.to ??
    [...hosts.values()]
      .filter(({ site, realm }) => site === here?.site && realm === here?.realm)
      .map(({ name }) => name)
  );
}

function isUsable(world: World, to: string, guest: string): boolean {
  const host = world.hosts.get(to);
  if (host === undefined || host.silentSinceMs !== undefined) return false;
  if (whyClosed(world, to) !== undefined) return false;
  const labels = labelsOf(world, guest);
  const group = 'words' in labels ? undefined : labels.antiAffinity;
  if (group !== undefined && memberAt(world, group, to, guest) !== undefined) return false;
  return roomBytes(world, to) >= (world.guests.get(guest)?.memoryBytes ?? 0);
}
