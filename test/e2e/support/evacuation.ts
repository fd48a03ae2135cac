/** The evacuation of a site's six guests over a thin line to another, by a deadline that not all of them can meet. */
import assert from 'node:assert/strict';
import type { AgentConfigInput } from '../../../src/lab/agents.ts';
import { startGuest } from '../../../src/lab/guest/start.ts';
import { verifyGuest } from '../../../src/lab/guest/talk.ts';
import { labHost } from '../../../src/lab/state.ts';
import type { Lab } from '../../../src/lab/state.ts';
import { seenStatuses } from '../../../src/lab/witness/qemus.ts';
import { agentContract } from '../../../src/protocol/contract.ts';
import { isWishEnd } from '../../../src/protocol/controller/wish.ts';
import type { Move, Wish, WishAsk } from '../../../src/protocol/controller/wish.ts';
import type { WishPlan } from '../../../src/protocol/controller/wishes.ts';
import { client } from '../../../src/rpc/client.ts';
import { until } from '../../until.ts';
import { LabController } from './lab-controller.ts';

const MIB = 1024 ** 2;
/** 100 Mbit/s. */
const LINE = 12_500_000;
const ROUND_TRIP_MS = 50;
const SITES = { a: 's1', b: 's2' } as const;
const ASK: Pick<WishAsk, 'kind' | 'hosts' | 'to' | 'sites'> = {
  kind: 'evacuate',
  hosts: ['a'],
  to: ['b'],
  sites: { from: 's1', to: 's2' },
};
/** Guests that the deadline leaves time for. */
const MEETING = 3;
/** By prediction with the deadline; a guest is measured before. */
const PLAN_MS = 60_000;
const END_MS = 300_000;

/** By name the least important first, so that the order of the plan can come from the labels alone. */
const GUESTS = [
  { name: 'g1', priority: 10, workingSetBytes: 48 * MIB, dirtyBytesPerSecond: 0 },
  { name: 'g2', priority: 20, workingSetBytes: 56 * MIB, dirtyBytesPerSecond: MIB / 2 },
  { name: 'g3', priority: 30, workingSetBytes: 56 * MIB, dirtyBytesPerSecond: 0 },
  { name: 'g4', priority: 40, workingSetBytes: 48 * MIB, dirtyBytesPerSecond: MIB / 2 },
  { name: 'g5', priority: 50, workingSetBytes: 56 * MIB, dirtyBytesPerSecond: 0 },
  { name: 'g6', priority: 60, workingSetBytes: 40 * MIB, dirtyBytesPerSecond: MIB },
] as const;
export const NAMES: readonly string[] = GUESTS.map(({ name }) => name);

/** Of the lab: hosts a and b are a site each; the controller is on c. */
export const EVACUATED_LAB = {
  hosts: 3,
  linkBytesPerSecond: LINE,
  delayMs: ROUND_TRIP_MS,
  configure: (host: string): Partial<AgentConfigInput> =>
    host === 'a' || host === 'b' ? { site: SITES[host] } : {},
};

export interface Evacuated {
  /** As it was shown before the start. */
  readonly plan: WishPlan;
  readonly wish: Wish;
  readonly moves: readonly Move[];
  readonly deadlineAtMs: number;
  /** From the request to the end of the last move, s. */
  readonly seconds: number;
  /** The guests that run at the other site, the most important first. */
  readonly over: readonly string[];
  /** The most copies of one guest that were seen to run at once. */
  readonly mostCopies: number;
}

/** Starts the guests with their labels, and a controller that knows the line. */
export async function prepareEvacuation(lab: Lab, signal?: AbortSignal): Promise<LabController> {
  const unix = labHost(lab, 'a').agentSocket;
  const agent = client(agentContract, { unix, peer: 'the agent of a' });
  const controller = new LabController({ lab });
  try {
    for (const { priority, ...guest } of GUESTS) {
      const request = { ...guest, host: 'a', memoryBytes: 176 * MIB };
      await startGuest(lab, { ...request, ...(signal === undefined ? {} : { signal }) });
      const set = { 'godwit/priority': String(priority) };
      await agent.api.labelGuest({ params: { guest: guest.name }, body: { set, remove: [] } });
    }
    await controller.prepare({
      sites: { s1: { networks: [] }, s2: { networks: [] } },
      siteLinks: [{ between: ['s1', 's2'], bytesPerS: LINE, roundTripMs: ROUND_TRIP_MS }],
    });
    await controller.start();
    await until('the controller to have the labels', 30_000, async () => {
      const { plan } = await dryRun(controller, {});
      return plan.steps.map(({ guest }) => guest).join() === NAMES.toReversed().join()
        ? true
        : undefined;
    });
    return controller;
  } catch (error) {
    await controller.close();
    throw error;
  } finally {
    agent.close();
  }
}

const dryRun = ({ api }: LabController, more: Pick<WishAsk, 'deadlineAtMs'>) =>
  api.putWish(
    { params: { id: 'w-dryrun0001' }, query: { dryRun: 'true' }, body: { ...ASK, ...more } },
    { deadlineMs: PLAN_MS },
  );

/** Evacuates with a deadline between the ends that are predicted of the last guest that is to meet it and of the next. */
export async function evacuateSite(lab: Lab, controller: LabController): Promise<Evacuated> {
  const whole = (await dryRun(controller, {})).plan;
  const ends = whole.steps.map(({ seconds, startsInSeconds = 0 }) => startsInSeconds + seconds);
  const [last, next] = [ends[MEETING - 1], ends[MEETING]];
  assert.ok(last !== undefined && next !== undefined, JSON.stringify(whole));
  const askedAtMs = Date.now();
  const deadlineAtMs = Math.round(askedAtMs + ((last + next) / 2) * 1000);
  const { plan } = await dryRun(controller, { deadlineAtMs });
  const id = 'w-evacuation1';
  const body = { ...ASK, deadlineAtMs };
  await controller.api.putWish({ params: { id }, body }, { deadlineMs: PLAN_MS });
  let mostCopies = 0;
  const { wish, moves } = await until('the evacuation to end', END_MS, async () => {
    mostCopies = Math.max(mostCopies, await copiesNow(lab));
    const found = await controller.api.wish({ params: { id } });
    return isWishEnd(found.wish.phase) ? found : undefined;
  });
  const ended = Math.max(...moves.map(({ endedAtMs = Infinity }) => endedAtMs));
  return {
    plan,
    wish,
    moves,
    deadlineAtMs,
    seconds: (ended - wish.createdAtMs) / 1000,
    over: (await running(lab, 'b')).toReversed(),
    mostCopies,
  };
}

async function running(lab: Lab, host: string): Promise<string[]> {
  const seen = await seenStatuses(lab);
  return seen
    .filter((each) => each.host === host && each.status === 'running')
    .map(({ guest }) => guest)
    .toSorted();
}

async function copiesNow(lab: Lab): Promise<number> {
  const seen = (await seenStatuses(lab)).filter(({ status }) => status === 'running');
  const copies = Map.groupBy(seen, ({ guest }) => guest);
  return Math.max(0, ...[...copies.values()].map((each) => each.length));
}

/** Why the measure does not hold; empty where it does. */
export async function missesOf(lab: Lab, found: Evacuated): Promise<string[]> {
  const { plan, moves, over, deadlineAtMs, mostCopies } = found;
  const most = NAMES.toReversed();
  const misses: string[] = [];
  const expected = most.slice(0, over.length);
  if (over.length < MEETING || over.join() !== expected.join())
    misses.push(`over are ${over.join()}`);
  const late = moves.filter(({ endedAtMs = Infinity }) => endedAtMs > deadlineAtMs);
  if (late.length > 0) misses.push(`${late.map(({ guest }) => guest).join()} came late`);
  const named = plan.stays.map(({ guest }) => guest);
  const left = most.filter((guest) => !over.includes(guest));
  if (left.join() !== named.toSorted().toReversed().join())
    misses.push(`${named.join()} were named, ${left.join()} are left`);
  if (mostCopies !== 1) misses.push(`${mostCopies} copies of a guest ran`);
  const stayed = await running(lab, 'a');
  if ([...stayed, ...over].toSorted().join() !== NAMES.join())
    misses.push(`${stayed.join()} run at a, ${over.join()} at b`);
  for (const name of NAMES) {
    const { ok } = await verifyGuest(lab, name);
    if (!ok) misses.push(`${name} is not what it was`);
  }
  return misses;
}
