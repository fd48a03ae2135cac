import { defined } from '../../protocol/defined.ts';
import type { World } from './facts.ts';
import type { Roll, FleetRequest } from '../../protocol/controller/fleet-request.ts';

/** What a request is after now. `empty`: no guest is to be on these hosts. `bring`: these guests are to be elsewhere. */
export type Aim =
  | { readonly kind: 'empty'; readonly hosts: readonly string[] }
  | {
      readonly kind: 'bring';
      readonly guests: readonly string[];
      /** One of these; absent: anywhere but where they are. */
      readonly to?: readonly string[];
    };

/** As much of the world as an aim rests on. */
type AimFacts = Pick<World, 'marks' | 'guests'>;

export function aimOf({ id, ask, roll }: FleetRequest, { marks, guests: all }: AimFacts): Aim {
  const { kind, guest, hosts, to } = ask;
  switch (kind) {
    case 'migration': {
      const guests = guest === undefined ? [] : [guest];
      return { kind: 'bring', guests, ...defined({ to }) };
    }
    case 'drain':
    case 'recover':
      return { kind: 'empty', hosts };
    case 'evacuate':
      // A host that was opened since is left out of it.
      return { kind: 'empty', hosts: hosts.filter((host) => marks.get(host)?.drainingFor === id) };
    case 'roll':
      return rollAim(hosts, roll, all);
  }
}

/** One host after the other. */
function rollAim(
  hosts: readonly string[],
  roll: Roll | undefined,
  guests: AimFacts['guests'],
): Aim {
  const host = hosts.slice(roll?.at ?? 0).slice(0, 1);
  switch (roll?.stage) {
    case undefined:
    case 'planning':
    case 'draining':
    case 'noting':
      return { kind: 'empty', hosts: host };
    case 'running':
    case 'waiting':
      return { kind: 'empty', hosts: [] };
    case 'returning':
      // One that is on no host any more has ended, and cannot come back.
      return { kind: 'bring', guests: roll.away.filter((name) => guests.has(name)), to: host };
  }
}

/** Hosts that are to be empty. */
export function emptiedBy(request: FleetRequest, world: AimFacts): readonly string[] {
  const aim = aimOf(request, world);
  return aim.kind === 'empty' ? aim.hosts : [];
}
