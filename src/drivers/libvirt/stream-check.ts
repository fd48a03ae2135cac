import { godwitError } from '../../errors.ts';
import type { ManagedOrder } from '../../migration/managed/task-sight.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { managerPass, managerRefusal } from '../../port/manager-checks.ts';
import { isAtLeast } from './wire-check.ts';

/** Checks whether both libvirts support the requested memory compression. Pure. */

/** First version with zstd, and the first that limits XBZRLE to one stream. */
const FIRST = [9, 4];

export interface StreamAsked {
  readonly order: Pick<ManagedOrder, 'compress' | 'streams' | 'to' | 'from'>;
  readonly versions: { readonly source: string; readonly destination: string };
}

/** Empty without compression. */
export function compressionChecks({ order, versions }: StreamAsked): Check[] {
  const { compress, streams, from, to } = order;
  if (compress === 'none') return [];
  const ends = [
    { host: from, version: versions.source, side: 'source' },
    { host: to, version: versions.destination, side: 'destination' },
  ] as const;
  const wants = compress === 'zstd' ? 'newer' : streams > 1 ? 'older' : 'any';
  const refused = ends
    .filter(({ version }) => wants !== 'any' && isAtLeast(version, FIRST) !== (wants === 'newer'))
    .map(({ host, version, side }) => {
      const which = `libvirt ${version} of ${host}`;
      const [what, reason, hint] =
        wants === 'newer'
          ? ['--compress zstd', `${which} does not know it`, `use libvirt ${FIRST.join('.')} there`]
          : [
              '--compress xbzrle with several streams',
              `${which} takes XBZRLE in one stream alone`,
              'leave --streams out',
            ];
      const facts = { what, reason };
      const error = godwitError('GODWIT_CAPABILITY', facts, {
        hint: `Leave --compress out, or ${hint}.`,
      });
      return managerRefusal('compression', side, error);
    });
  if (refused.length > 0) return refused;
  return [managerPass('compression', 'both', `libvirt of both hosts takes ${compress} so`)];
}
