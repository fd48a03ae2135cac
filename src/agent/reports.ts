import { toGodwitError } from '../errors.ts';
import type { Log } from '../log.ts';
import { isManagedRequest } from '../protocol/mover/request.ts';
import type { Report } from '../protocol/public/migration.ts';
import type { Peers } from './peers.ts';
import type { MigrationStore } from './store.ts';

/**
 * The report of a migration, wherever it is asked for: its source's, which knows most. Where that gives none, this side's
 * own, which names what is not known here.
 */
export async function reportOfBoth(
  { store, peers, log }: { store: MigrationStore; peers: Peers; log: Log },
  id: string,
): Promise<Report> {
  const own = store.report(id);
  const { request } = store.need(id);
  if (request.side === 'source' || isManagedRequest(request)) return own;
  try {
    const told = await peers.report(request.fromHost, id);
    return isSame(own, told) ? withOwn(told, own) : own;
  } catch (thrown) {
    log.debug({ id, error: toGodwitError(thrown) }, 'the source does not give its report');
    return own;
  }
}

function isSame(own: Report, told: Report): boolean {
  return (['id', 'guest', 'from', 'to'] as const).every((name) => own[name] === told[name]);
}

/** A source that was cut off does not know what this host knows: that the guest runs here. */
function withOwn(told: Report, { runsAt }: Report): Report {
  return told.runsAt === 'unknown' && runsAt === 'destination' ? { ...told, runsAt } : told;
}
