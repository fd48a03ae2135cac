import type { PolicyKind } from '../../protocol/controller/policy.ts';
import type { HostFacts } from '../requests/facts.ts';
import { firstNames } from './unreliable-samples.ts';

/** Managers that balance their hosts themselves, or set their power: two hands would move guests to and fro. */

type ManagedHost = Pick<HostFacts, 'name' | 'maintenanceMode' | 'powerMode'>;

/** Why a policy of that kind leaves a host and its guests alone, in its manager's words; undefined where it does not. */
export function whyLeftToManager(
  { maintenanceMode, powerMode }: ManagedHost,
  kind: PolicyKind,
): string | undefined {
  if (kind === 'consolidate' && powerMode?.sets === 'manager')
    return `${powerMode.words} puts hosts to sleep and wakes them by itself`;
  return maintenanceMode?.moves === 'manager'
    ? `${maintenanceMode.words} moves guests by itself`
    : undefined;
}

/** What a look says of the hosts that it leaves to their managers; undefined where there are none. Pure. */
export function leftToManagersWords(
  hosts: Iterable<ManagedHost>,
  kind: PolicyKind,
): string | undefined {
  const left = [...hosts].flatMap((host) => {
    const words = whyLeftToManager(host, kind);
    return words === undefined ? [] : [{ name: host.name, words }];
  });
  if (left.length === 0) return undefined;
  return [...Map.groupBy(left, ({ words }) => words)]
    .map(([words, group]) => `${words}, and the guests of ${firstNames(group)} are left to it`)
    .join('; ');
}
