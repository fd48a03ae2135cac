import { WHOLE_FLEET, type Policy } from '../../protocol/controller/policy.ts';
import type { World } from '../requests/facts.ts';

const MAX_NAMED = 8;

export function whyNoChoice(
  { scope, hosts: own = [] }: Pick<Policy, 'scope' | 'hosts'>,
  { hosts, marks }: Pick<World, 'hosts' | 'marks'>,
  isOurs: (host: string) => boolean,
): string | undefined {
  const ours = [...hosts.values()].filter(({ name }) => isOurs(name));
  const [only] = ours;
  if (only === undefined)
    return scope === WHOLE_FLEET
      ? 'no host is known here that no group has'
      : `none of its hosts is known: ${own.slice(0, MAX_NAMED).join(', ')}`;
  if (ours.length === 1) return `${only.name} is the only host here: nothing can move`;
  // A sleeping host can be woken.
  const there = ours.filter(
    ({ name, silentSinceMs }) =>
      silentSinceMs === undefined || marks.get(name)?.power !== undefined,
  );
  const [heard] = there;
  if (heard === undefined) return `none of its ${ours.length} hosts is heard of`;
  return there.length > 1
    ? undefined
    : `of its ${ours.length} hosts only ${heard.name} is heard of: nothing can move`;
}
