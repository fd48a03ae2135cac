import type { PolicyKind } from '../../protocol/controller/policy.ts';
import type { HostFacts } from '../requests/facts.ts';
import { firstNames } from './unreliable-samples.ts';

/** Hosts whose manager balances or powers them itself; a second controller would move guests back and forth. */

type ManagedHost = Pick<HostFacts, 'name' | 'maintenanceMode' | 'powerMode'>;

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
