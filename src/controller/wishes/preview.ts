import { MAX_GUESTS, type Stay, type Waiting, type Wish } from '../../protocol/controller/wish.ts';
import type { WishPlan } from '../../protocol/controller/wishes.ts';
import { defined } from '../../protocol/defined.ts';
import { boundedList, clipped } from './bounds.ts';
import { leftOf, sinceWhen } from './candidates.ts';
import type { GuestFacts, HostMark, World } from './facts.ts';
import { modeOf } from './maintenance-mode.ts';
import { meantBy } from './namesakes.ts';
import { planFor } from './plan.ts';

/** What would be done for a wish, by what is known now. Pure: nothing is stored, and no host is asked. */
export function previewOf(wish: Wish, all: World): WishPlan {
  if (wish.ask.kind === 'roll') return rollPreview(wish, all);
  const world = meantBy(wish, [], all);
  const left = leftOf(wish, [], world);
  const froms = new Map(left.candidates.map(({ guest, from }) => [guest, from]));
  const plan = planFor(wish, [...froms.keys()], world);
  const placed = new Set(plan.steps.map(({ guest }) => guest));
  const homeless = left.candidates
    .filter(({ guest }) => !placed.has(guest))
    .map((each) => ({
      ...each,
      waitsFor: 'plan' as const,
      words: plan.refused.get(each.guest) ?? 'the plan has no place for it',
    }));
  const isByDeadline = wish.ask.sites !== undefined;
  const mode = modeOf(wish, world);
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

/** The world as it is once the wish is stored. */
export function storedWorld({ id, ask }: Wish, world: World): World {
  if (ask.kind === 'roll') return world;
  const own = ask.hosts.map((host): [string, HostMark] => {
    return [host, { ...world.marks.get(host), host, drainingFor: id }];
  });
  return { ...world, marks: new Map([...world.marks, ...own]) };
}

/** Host after host, each with the guests that the ones before have sent to it. The programs’ own time is nobody’s guess. */
function rollPreview(wish: Wish, world: World): WishPlan {
  const { ask } = wish;
  const first = wish.roll?.at ?? 0;
  const all: WishPlan[] = [];
  let now = world;
  for (let at = first; at < ask.hosts.length; at += 1) {
    const drain: Wish = {
      ...wish,
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

function movedBy({ steps }: WishPlan, world: World): World {
  const guests = new Map(world.guests);
  for (const { guest, to } of steps) {
    const facts = guests.get(guest);
    if (facts === undefined) continue;
    const moved: GuestFacts = { ...facts, at: [{ host: to, state: 'running' }] };
    guests.set(guest, moved);
  }
  return { ...world, guests };
}
