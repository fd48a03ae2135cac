import { godwitError } from '../../errors.ts';
import { refusal } from '../../migration/preflight/check.ts';
import { preparation, type LookDependencies } from '../../mover/direct/source/source-context.ts';
import { defined } from '../../protocol/defined.ts';
import { routesOf } from '../../protocol/network.ts';
import type { Admission } from '../../protocol/peer/migration.ts';
import { migrationSettings, type Check } from '../../protocol/public/migration.ts';
import type { Examining } from './examine.ts';

const ANSWER_MS = 10_000;

/** Where nothing speaks against a cold move, the destination keeps what a cold move would give it. */
export async function offerStandby(
  { request, peers, labels, digest, guest: held }: Examining,
  deps: LookDependencies,
  { admission, checks }: { readonly admission: Admission; readonly checks: Check[] },
  signal: AbortSignal,
): Promise<void> {
  const { guest, to } = request;
  const { onThisHost } = await held.inspect(signal);
  if (onThisHost !== undefined) {
    const reason = `${onThisHost} is on its host alone, and is lost with it`;
    const lost = godwitError('GODWIT_CAPABILITY', { what: `to start ${guest} elsewhere`, reason });
    checks.push(refusal('devices', lost));
  }
  const body = preparation(deps);
  if ((body.copies ?? []).length + (body.bases ?? []).length > 0) {
    const device = body.copies?.[0]?.node ?? body.bases?.[0]?.node ?? '';
    const reason = `${to} would need a copy of it, and nobody can make one of a host that is dead`;
    const facts = { host: to, guest, device, reason };
    checks.push(refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'both'));
  }
  if (checks.some(({ verdict }) => verdict === 'refuse')) return;
  const offered = {
    ...admission,
    routes: routesOf(body.networks ?? []),
    settings: migrationSettings.parse(request),
    ...defined({ labels }),
  };
  await peers.preflight(to).keepStandby(
    {
      params: { guest },
      body: {
        admission: offered,
        preparation: body,
        ...defined({ digest }),
      },
    },
    { deadlineMs: ANSWER_MS, signal },
  );
}
