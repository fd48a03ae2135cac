import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { everyPage, MAX_PER_PAGE } from '../../protocol/public/page.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { FleetHost } from '../../protocol/controller/fleet.ts';
import type { evacuateSpec } from './specs.ts';
import type { Context } from '../context.ts';
import type { Input, Run } from '../verb.ts';
import { askForRequest, cancelRequest } from './request-follow.ts';
import { momentOf } from '../migrate/deadline.ts';
import { atController, openRequest, type ControllerApi } from './at-controller.ts';

type EvacuateInput = Input<typeof evacuateSpec>;

export const run: Run<typeof evacuateSpec> = (input, context) =>
  atController(input.connection, context, async (api) => {
    const { flags, json } = input;
    const { site, to } = flags;
    if (site === undefined) throw godwitError('GODWIT_USAGE', { what: '--site names no site' });
    const fleet = await allHosts(api);
    const hosts = hostsAt(fleet, site);
    if (flags.cancel === true) {
      const { id } = await openRequest(api, 'evacuate', hosts);
      return cancelRequest(api, { id, rollBack: flags.rollBack === true, json }, context);
    }
    if (to === undefined) throw godwitError('GODWIT_USAGE', { what: '--to names no site' });
    const asked = {
      body: { ...bodyOf(input, context), hosts, to: hostsAt(fleet, to), sites: { from: site, to } },
      question: `Evacuate ${site} (${hosts.join(', ')}) to ${to}?`,
      json,
      dryRun: flags.dryRun === true,
      yes: flags.yes === true,
      detach: flags.detach === true,
    };
    return askForRequest(api, asked, context);
  });

function bodyOf({ flags }: EvacuateInput, { clock }: Context) {
  const { deadline, budget, maxPause, maxParallel } = flags;
  return {
    kind: 'evacuate' as const,
    ...(deadline === undefined
      ? {}
      : { deadlineAtMs: momentOf('--deadline', deadline, clock.wallMs()) }),
    ...defined({ budgetBytes: budget, maxPauseMs: maxPause, maxParallel }),
  };
}

const allHosts = (api: ControllerApi): Promise<FleetHost[]> =>
  everyPage(async (cursor) => {
    const { hosts: items, next } = await api.hosts({ query: { cursor, limit: MAX_PER_PAGE } });
    return next === undefined ? { items } : { items, next };
  });

/** GODWIT_USAGE if no host has that site. */
function hostsAt(fleet: readonly FleetHost[], site: string): string[] {
  const found = fleet.filter((each) => each.site === site).map(({ name }) => name);
  if (found.length > 0) return found;
  const near = didYouMean(
    site,
    fleet.flatMap((each) => each.site ?? []),
  );
  const hint =
    near ?? 'Each agent has its site in its configuration; `godwit hosts` shows the sites.';
  throw godwitError('GODWIT_USAGE', { what: `no host is at the site ${site}` }, { hint });
}
