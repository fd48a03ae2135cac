import type { PolicyKind } from '../../protocol/controller/policy.ts';
import type { HostFacts } from '../wishes/facts.ts';
import { named } from './unreliable-samples.ts';

/** Managers that balance their hosts themselves, or set their power: two hands would move guests to and fro. */

type Keeping = Pick<HostFacts, 'name' | 'maintenanceMode' | 'powerMode'>;

/** Why a policy of that kind leaves a host and its guests alone, in its manager's words; undefined where it does not. */
export function keeperOf(
  { maintenanceMode, powerMode }: Keeping,
  kind: PolicyKind,
): string | undefined {
  if (kind === 'consolidate' && powerMode?.sets === 'manager')
    return `${powerMode.words} puts hosts to sleep and wakes them by itself`;
  return maintenanceMode?.moves === 'manager'
    ? `${maintenanceMode.words} moves guests by itself`
    : undefined;
}

/** What a look says of the hosts that it leaves to their managers; undefined where there are none. Pure. */
export function keepersWords(hosts: Iterable<Keeping>, kind: PolicyKind): string | undefined {
  const kept = [...hosts].flatMap((host) => {
    const words = keeperOf(host, kind);
    return words === undefined ? [] : [{ name: host.name, words }];
  });
  if (kept.length === 0) return undefined;
  return [...Map.groupBy(kept, ({ words }) => words)]
    .map(([words, group]) => `${words}, and the guests of ${named(group)} are left to it`)
    .join('; ');
}
