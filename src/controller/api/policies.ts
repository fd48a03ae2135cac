import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { place } from '../../planner/place.ts';
import { WHOLE_FLEET, type PolicySettings } from '../../protocol/controller/policy.ts';
import type { policyRoutes } from '../../protocol/controller/policies.ts';
import { defined } from '../../protocol/defined.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { cursorAt, MAX_PER_PAGE, timeKeyIn } from '../../protocol/public/page.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import type { Call, Handlers } from '../../rpc/server.ts';
import type { ControllerConfig } from '../config.ts';
import type { FleetView } from '../engine/ports.ts';
import { usualNextHour } from '../inventory/guest-hours.ts';
import { fleetLooks } from '../inventory/guest-looks.ts';
import { inventoryFor } from '../policy/inventory.ts';
import { Loads } from '../policy/loads.ts';
import type { PolicyLoop } from '../policy/loop.ts';
import type { Store } from '../store/store.ts';
import type { Policies } from '../store/policies.ts';
import type { Proposals } from '../store/proposals.ts';
import type { Requests } from '../store/requests.ts';
import { clipped } from '../requests/bounds.ts';
import type { World } from '../requests/facts.ts';
import { LABELS_HINT, readLabels } from '../../protocol/label-rules.ts';
import { CostlyAnswers } from './costly.ts';

type Routes = typeof policyRoutes;

export interface PolicyHandlerDependencies {
  readonly config: Pick<ControllerConfig, 'policies'>;
  readonly store: Store;
  readonly requests: Requests;
  readonly fleet: FleetView;
  readonly policies: Policies;
  readonly proposals: Proposals;
  readonly policyLoop: PolicyLoop;
  readonly clock: Clock;
  readonly log: Log;
}

export function policyHandlers(deps: PolicyHandlerDependencies): Handlers<Routes> {
  const { config, store, policies, proposals, policyLoop, clock, log } = deps;
  const used = new CostlyAnswers<GuestUsage>('what guests used', clock);
  return {
    policies: async () => ({ policies: await policies.list() }),
    putPolicy: async ({ params: { scope, kind }, query: { ifSetAtMs }, body, caller }) => {
      await checkSettings(deps, scope, body);
      const set = await policies.put(kind, scope, body, caller.name, ifSetAtMs);
      log.info({ kind, scope, settings: body, by: caller.name }, 'policy set');
      return set;
    },
    removePolicy: async ({ params: { scope, kind }, caller }) => {
      if (scope === WHOLE_FLEET) {
        const hint = 'Set its mode to off.';
        throw godwitError('GODWIT_USAGE', { what: 'the policy of the fleet stays' }, { hint });
      }
      await policies.remove(kind, scope);
      log.info({ kind, scope, by: caller.name }, 'policy of a group removed');
      return { ok: true };
    },
    runPolicy: async ({ params: { scope, kind }, query }) => {
      const isDry = query.dryRun === 'true';
      const { look, proposals: made } = isDry
        ? await policyLoop.dryLook(kind, scope)
        : await policyLoop.lookNow(kind, scope);
      const open = made
        .map(({ proposal }) => proposal)
        .filter(({ state }) => state === 'open' || state === 'accepted');
      return {
        words: look.words,
        refusals: look.refusals,
        proposals: open.slice(0, MAX_PER_PAGE),
      };
    },
    proposals: (call) => readProposals(deps, call),
    proposal: ({ params }) => proposals.get(params.id),
    acceptProposal: async ({ params: { id }, caller }) => {
      const done = await proposals.accept(id, caller.name);
      log.info({ proposal: id, requests: done.requests, by: caller.name }, 'proposal accepted');
      return done;
    },
    rejectProposal: async ({ params: { id }, body: { reason }, caller }) => {
      log.info({ proposal: id, reason, by: caller.name }, 'proposal rejected');
      return proposals.reject(id, reason, caller.name);
    },
    snoozeProposal: async ({ params: { id }, body: { forMs }, caller }) => {
      log.info({ proposal: id, forMs, by: caller.name }, 'proposal postponed');
      return proposals.snooze(id, forMs, caller.name);
    },
    place: async (call) =>
      placed(deps, await used.of('', () => readUsed(store, config.policies.lookMs)), call),
  };
}

async function readProposals(
  { proposals }: PolicyHandlerDependencies,
  { query: { limit, cursor, ...asked } }: Call<Routes['proposals']>,
): Promise<RouteAnswer<Routes['proposals']>> {
  const after = cursor === undefined ? undefined : timeKeyIn(cursor);
  const found = await proposals.list({
    ...asked,
    after: after && { createdAtMs: after.atMs, id: after.id },
    limit: limit + 1,
  });
  const page = found.slice(0, limit);
  const last = page.at(-1);
  if (last === undefined || found.length <= limit) return { proposals: page };
  return { proposals: page, next: cursorAt([String(last.createdAtMs), last.id]) };
}

async function checkSettings(
  { fleet }: PolicyHandlerDependencies,
  scope: string,
  { hosts }: PolicySettings,
): Promise<void> {
  if ((scope === WHOLE_FLEET) !== (hosts === undefined)) {
    const what =
      hosts === undefined
        ? `the policy of a group names its hosts, and ${scope} names none`
        : 'the policy of the fleet names no hosts: it is for all that no group has';
    throw godwitError('GODWIT_USAGE', { what });
  }
  if (hosts !== undefined) checkHosts(hosts, await fleet.look());
}

function checkHosts(names: readonly string[], { hosts }: Pick<World, 'hosts'>): void {
  const unknown = names.find((each) => !hosts.has(each));
  if (unknown === undefined) return;
  const near = didYouMean(unknown, [...hosts.keys()]);
  throw godwitError(
    'GODWIT_HOST_UNKNOWN',
    { host: unknown },
    near === undefined ? {} : { hint: near },
  );
}

interface GuestUsage {
  readonly loads: Loads;
  readonly usual: ReadonlyMap<string, number>;
}

async function readUsed(store: Store, lookMs: number): Promise<GuestUsage> {
  const loads = new Loads(lookMs);
  for await (const look of fleetLooks(store, lookMs)) loads.add(look);
  return { loads, usual: await usualNextHour(store) };
}

async function placed(
  { requests, fleet }: PolicyHandlerDependencies,
  used: GuestUsage,
  { body: { memoryBytes, vcpus, labels: given, hosts } }: Call<Routes['place']>,
): Promise<RouteAnswer<Routes['place']>> {
  const labels = readLabels(given);
  if ('words' in labels) {
    throw godwitError('GODWIT_USAGE', { what: labels.words }, { hint: LABELS_HINT });
  }
  const world = { ...(await requests.world()), ...(await fleet.look()) };
  if (hosts !== undefined) checkHosts(hosts, world);
  const nobody = new Set<string>();
  const none = { past: [], asked: new Map(), mutedGuests: nobody, mutedHosts: nobody };
  const inventory = inventoryFor({ world, ...used, isOurs: () => true, ...none });
  const group = labels.antiAffinity;
  const answer = place(inventory, {
    name: 'the new guest',
    memoryBytes,
    cpu: vcpus,
    ...defined({ pinnedTo: hosts }),
    ...(group === undefined ? {} : { apart: [group] }),
  });
  if ('refused' in answer) return { words: clipped(answer.refused.words), alternatives: [] };
  return {
    host: answer.host,
    words: clipped(answer.words),
    alternatives: answer.alternatives.slice(0, 2),
  };
}
