import type { MoverRequest } from '../../protocol/mover/request.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { ReturnIfUnhealthy, Returns } from '../../protocol/public/site-check.ts';

interface MigrationLookup {
  all(): readonly StoredMigration[];
  runsAt(id: string): Report['runsAt'];
}
interface StoredMigration {
  readonly id: string;
  readonly request: MoverRequest;
}

export function wayBackOf(
  store: MigrationLookup,
  request: MoverRequest,
): Pick<Report, 'returns' | 'returned'> {
  const { returnIfUnhealthy: asked, returns } = askedOf(request);
  const own = returns === undefined ? {} : { returns };
  if (asked === undefined) return own;
  const back = store.all().find((each) => takesBack(each, request));
  const why = back === undefined ? undefined : askedOf(back.request).returns?.why;
  if (back === undefined || why === undefined || store.runsAt(back.id) !== 'destination')
    return own;
  return { ...own, returned: { migration: back.id, why, at: back.request.createdAt } };
}

/** Requires the opposite direction and the same guest, whatever the host claims. */
function takesBack({ request }: StoredMigration, brought: MoverRequest): boolean {
  const { returns, guest } = askedOf(request);
  return (
    returns?.migration === brought.id &&
    guest === askedOf(brought).guest &&
    request.fromHost === brought.toHost &&
    request.toHost === brought.fromHost
  );
}

function askedOf(request: MoverRequest): {
  readonly guest: string;
  readonly returnIfUnhealthy?: ReturnIfUnhealthy | undefined;
  readonly returns?: Returns | undefined;
} {
  if (request.side === 'destination') {
    const { guest, settings, returns } = request.admission;
    return { guest, returnIfUnhealthy: settings?.returnIfUnhealthy, returns };
  }
  const { guest, returnIfUnhealthy } = request.request;
  return { guest, returnIfUnhealthy, ...('returns' in request && { returns: request.returns }) };
}
