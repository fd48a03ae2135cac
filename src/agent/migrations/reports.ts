import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { defined } from '../../protocol/defined.ts';
import { isManagedRequest } from '../../protocol/mover/request.ts';
import { ofNow } from '../../migration/report/of-now.ts';
import type { AfterMove } from './after-move.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { Follow } from './follow.ts';
import type { Peers } from '../peers.ts';
import type { Returns } from './returns.ts';
import type { MigrationStore } from './store.ts';

interface ReportDependencies {
  readonly store: MigrationStore;
  readonly peers: Peers;
  readonly log: Log;
  readonly afterMove: Pick<AfterMove, 'complete'>;
  readonly follow: Pick<Follow, 'progress'>;
}

/**
 * The source's report of a migration, the most complete one. Where the guest runs is merged from this side, which knows
 * its own order to run.
 */
export async function reportOfBoth(
  { store, peers, log, afterMove, follow }: ReportDependencies,
  id: string,
): Promise<Report> {
  const own = store.report(id);
  const { request, dir } = store.need(id);
  if (request.side === 'source') {
    const now = own.outcome === 'running' ? ofNow(own, await follow.progress(id)) : own;
    return afterMove.complete(now, dir);
  }
  if (isManagedRequest(request)) return own;
  try {
    const reported = await peers.report(request.fromHost, id);
    return isSame(own, reported) ? withOwn(reported, own) : own;
  } catch (thrown) {
    log.debug({ id, error: toGodwitError(thrown) }, 'source does not send its report');
    return own;
  }
}

/** Like `reportOfBoth`, with the state of the site's check of the guest, if requested; the destination has it. */
export async function reportWithCheck(
  deps: ReportDependencies & { readonly returns: Pick<Returns, 'of'> },
  id: string,
): Promise<Report> {
  const report = await reportOfBoth(deps, id);
  if (report.settings.returnIfUnhealthy === undefined || report.outcome !== 'done') return report;
  const { request } = deps.store.need(id);
  const siteCheck =
    request.side === 'destination'
      ? deps.returns.of(id)
      : await deps.peers.siteCheck(request.toHost, id);
  const { returned } = request.side === 'destination' ? deps.store.report(id) : report;
  return {
    ...report,
    ...defined({ siteCheck, returned }),
  };
}

function isSame(own: Report, reported: Report): boolean {
  return (['id', 'guest', 'from', 'to'] as const).every((name) => own[name] === reported[name]);
}

/**
 * This host's journal proves that the guest was ordered to run here, whatever the source reports: the source may be cut
 * off, or hostile. Both are shown. A source cannot claim whose word that is.
 */
function withOwn({ runsAtTold: _, ...reported }: Report, { runsAt, to }: Report): Report {
  if (runsAt !== 'destination' || reported.runsAt === 'destination') return reported;
  return { ...reported, runsAt, runsAtTold: { by: to, otherwise: reported.runsAt } };
}
