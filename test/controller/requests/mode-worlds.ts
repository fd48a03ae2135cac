import assert from 'node:assert/strict';
import type { GuestFacts, HostFacts } from '../../../src/controller/requests/facts.ts';
import type { ModeHeard } from '../../../src/controller/requests/maintenance-mode.ts';
import type { Cancel } from '../../../src/controller/requests/moves.ts';
import { step, type StepOutput } from '../../../src/controller/requests/step.ts';
import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import type {
  MaintenanceMode,
  MaintenanceSight,
} from '../../../src/protocol/public/hosts/managed-host.ts';
import { answersOf, drainOf, guest, host, NOW, world, type Fleet } from './worlds.ts';

/** A fleet of a manager whose hosts can be put into maintenance mode, and drains of one of them. */

export const DRS: MaintenanceMode = { moves: 'manager', words: 'DRS of C0', leaves: [] };
export const NO_DRS: MaintenanceMode = { moves: 'asker', words: 'DRS of C0 is manual', leaves: [] };
const ids = ['m-00000011', 'm-00000012', 'm-00000013'];

export const hostsWith = (maintenanceMode: MaintenanceMode): HostFacts[] =>
  ['a', 'b', 'c'].map((name) => host(name, { realm: 'vc1', maintenanceMode }));

interface Setup {
  readonly mode?: MaintenanceMode;
  readonly guests?: readonly GuestFacts[];
  readonly heard?: ModeHeard;
  readonly cancel?: Cancel;
  readonly nowMs?: number;
  readonly more?: Partial<Fleet>;
}

export function stepOf(
  request: FleetRequest,
  { mode = DRS, guests = [], heard, cancel = 'no', nowMs = NOW, more = {} }: Setup,
): StepOutput {
  const now = world({ hosts: hostsWith(mode), guests, nowMs, ...more });
  return step({
    request,
    moves: [],
    sights: new Map(),
    world: now,
    cancel,
    mode: heard,
    epoch: 3,
    ids,
    occupancies: answersOf(now),
  });
}

export const sight = (
  state: MaintenanceSight['state'],
  more: Partial<MaintenanceSight> = {},
): ModeHeard => ({
  of: 'sight',
  sight: { state, ...more },
});
export const two = [guest('g1', 'a'), guest('g2', 'a')];

/** A drain whose host was looked at: the order is written down, and nobody knows whether the manager has it. */
export function asked(): FleetRequest {
  const { request } = stepOf(drainOf('a'), { guests: two, heard: sight('out') });
  assert.equal(request.maintenanceMode?.phase, 'asking');
  return request;
}
