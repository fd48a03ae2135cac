import type { HostAnswer } from '../../../src/migration/permission/host-answer.ts';
import type { FleetQuestion } from '../../../src/mover/direct/ask-fleet.ts';

/** A fleet whose hosts answer as given; `asked`: every host that was asked, in order. */
export function fleetOf(
  hosts: Readonly<Record<string, HostAnswer>> = {},
): FleetQuestion & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    names: () => Object.keys(hosts),
    ask: async (names) => {
      asked.push(...names);
      const silent: HostAnswer = { is: 'silent', why: 'it is not of this fleet' };
      return new Map(names.map((name) => [name, hosts[name] ?? silent]));
    },
  };
}
