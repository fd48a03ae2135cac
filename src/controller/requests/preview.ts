import {
  MAX_GUESTS,
  type Stay,
  type Waiting,
  type FleetRequest,
} from '../../protocol/controller/fleet-request.ts';
import type { FleetRequestPlan } from '../../protocol/controller/fleet-requests.ts';
import { defined } from '../../protocol/defined.ts';
import { boundedList, clipped } from './bounds.ts';
import { leftOf, sinceWhen } from './candidates.ts';
import type { GuestFacts, HostMark, World } from './facts.ts';
import { modeOf } from './maintenance-mode.ts';
import { meantBy } from './namesakes.ts';
import { planFor } from './plan.ts';

/** Stores nothing and asks no host. Pure. */
export function previewOf(request: FleetRequest, all: World): FleetRequestPlan {
  if (request.ask.kind === 'roll') return rollPreview(request, all);
  const world = meantBy(request, [], all);
  const left = leftOf(request, [], world);
  const froms = new Map(left.candidates.map(({ guest, from }) => [guest, from]));
  const plan = planFor(request, [...froms.keys()], world);
  const placed = new Set(plan.steps.map(({ guest }) => guest));
  const homeless = left.candidates
    .filter(({ guest }) => !placed.has(guest))
    .map((each) => ({
      ...each,
      waitsFor: 'plan' as const,
      words: plan.refused.get(each.guest) ?? 'the plan has no place for it',
    }));
  const isByDeadline = request.ask.sites !== undefined;
  const mode = modeOf(request, world);
  return {
    steps: plan.steps
      .slice(0, MAX_GUESTS)
      .map((each) => ({ ...each, from: froms.get(each.guest) ?? '' })),
    parallel: Math.max(1, plan.parallel),
    seconds: plan.seconds,
    late: plan.late.slice(0, MAX_GUESTS),
    ...(plan.through === undefined ? {} : { through: clipped(plan.through) }),
    stays: boundedList([...left.stays, ...(isByDeadline ? homeless.map(stayOf) : [])]),
    waiting: boundedList([...(isByDeadline ? [] : homeless), ...left.waiting]),
    ...(mode === undefined
      ? {}
      : { maintenanceMode: { host: mode.host, moves: mode.moves, words: mode.words } }),
    ...defined({ line: plan.line }),
    ...(plan.fromHistory.length === 0 ? {} : { fromHistory: [...plan.fromHistory] }),
    blind: left.blind.map((host) => clipped(world.hosts.has(host) ? sinceWhen(world, host) : host)),
  };
}

const stayOf = ({ guest, from, words }: Pick<Waiting, 'guest' | 'from' | 'words'>): Stay => {
  return { guest, host: from, words };
};

export function storedWorld({ id, ask }: FleetRequest, world: World): World {
  if (ask.kind === 'roll') return world;
  const own = ask.hosts.map((host): [string, HostMark] => {
    return [host, { ...world.marks.get(host), host, drainingFor: id }];
  });
  return { ...world, marks: new Map([...world.marks, ...own]) };
}

/** Host after host, each with the guests that earlier ones have sent to it. The programs' time is unknown. */
function rollPreview(request: FleetRequest, world: World): FleetRequestPlan {
  const { ask } = request;
  const first = request.roll?.at ?? 0;
  const all: FleetRequestPlan[] = [];
  let now = world;
  for (let at = first; at < ask.hosts.length; at += 1) {
    const drain: FleetRequest = {
      ...request,
      ask: { ...ask, kind: 'drain', hosts: ask.hosts.slice(at, at + 1) },
    };
    const plan = previewOf(drain, now);
    all.push(plan);
    if (ask.comeBack !== true) now = movedBy(plan, meantBy(drain, [], now));
  }
  const fromHistory = [...new Set(all.flatMap((each) => each.fromHistory ?? []))].slice(0, 8);
  return {
    steps: all.flatMap(({ steps }) => steps).slice(0, MAX_GUESTS),
    ...(fromHistory.length === 0 ? {} : { fromHistory }),
    parallel: Math.max(1, ...all.map(({ parallel }) => parallel)),
    seconds: all.reduce((sum, { seconds }) => sum + seconds, 0),
    late: all.flatMap(({ late }) => late).slice(0, MAX_GUESTS),
    stays: boundedList(all.flatMap(({ stays }) => stays)),
    waiting: boundedList(all.flatMap(({ waiting }) => waiting)),
    blind: all.flatMap(({ blind }) => blind).slice(0, MAX_GUESTS),
  };
}

function movedBy({ steps }: FleetRequestPlan, world: World): World {
  const guests = new Map(world.guests);
  for (const { guest, to } of steps) {
    const facts = guests.get(guest);
    if (facts === undefined) continue;
    const moved: GuestFacts = { ...facts, at: [{ host: to, state: 'running' }] };
    guests.set(guest, moved);
  }
  return { ...world, guests };
}
