import { godwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';

/** Checks whether libvirt can send memory through Godwit's socket. Pure. */

/** First version that migrates over a unix socket. */
const FIRST = [6, 8];

export interface WireAsked {
  readonly order: Pick<ManagedOrder, 'wire' | 'to' | 'from'>;
  readonly versions: { readonly source: string; readonly destination: string };
}

/** Empty if memory does not use the wire. Disks support sockets since the same version. */
export function wireChecks({ order, versions }: WireAsked): Check[] {
  if (order.wire !== true) return [];
  const ends = [
    { host: order.from, version: versions.source, side: 'source' },
    { host: order.to, version: versions.destination, side: 'destination' },
  ] as const;
  const refused = ends
    .filter(({ version }) => !isAtLeast(version, FIRST))
    .map(({ host, version, side }) => {
      const reason = `libvirt ${version} of ${host} does not migrate over a unix socket`;
      return refusal(
        side,
        reason,
        `Leave --path wire out, or use libvirt ${FIRST.join('.')} there.`,
      );
    });
  if (refused.length > 0) return refused;
  return [managerPass('path', 'both', 'libvirt of both hosts migrates over a unix socket')];
}

function refusal(side: Check['side'], reason: string, hint: string): Check {
  const facts = { what: '--path wire', reason };
  return managerRefusal('path', side, godwitError('GODWIT_CAPABILITY', facts, { hint }));
}

export function isAtLeast(version: string, [major = 0, minor = 0]: readonly number[]): boolean {
  const [has = 0, hasMinor = 0] = version.split('.').map(Number);
  return has > major || (has === major && hasMinor >= minor);
}
