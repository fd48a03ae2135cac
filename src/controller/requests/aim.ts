import { defined } from '../../protocol/defined.ts';
import type { World } from './facts.ts';
import type { Roll, FleetRequest } from '../../protocol/controller/fleet-request.ts';

/** The request's present aim. `empty`: these hosts must have no guests. `bring`: these guests must be elsewhere. */
export type Aim =
  | { readonly kind: 'empty'; readonly hosts: readonly string[] }
  | {
      readonly kind: 'bring';
      readonly guests: readonly string[];
      /** One of these; absent: anywhere else. */
      readonly to?: readonly string[];
    };

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
      // A host that was opened since no longer counts.
      return { kind: 'empty', hosts: hosts.filter((host) => marks.get(host)?.drainingFor === id) };
    case 'roll':
      return rollAim(hosts, roll, all);
  }
}

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
      // A guest without a host has ended and cannot return.
      return { kind: 'bring', guests: roll.away.filter((name) => guests.has(name)), to: host };
  }
}

export function emptiedBy(request: FleetRequest, world: AimFacts): readonly string[] {
  const aim = aimOf(request, world);
  return aim.kind === 'empty' ? aim.hosts : [];
}
