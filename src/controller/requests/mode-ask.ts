import { godwitError } from '../../errors.ts';
import type { FleetRequestAsk } from '../../protocol/controller/fleet-request.ts';
import type { World } from './facts.ts';
import { forbiddenBy, modeOf } from './maintenance-mode.ts';

/** Each refusal is a GODWIT_USAGE. Pure. */
export function checkMode(ask: FleetRequestAsk, world: World): void {
  checkEach(ask, world);
  const mode = modeOf({ ask }, world);
  const isManagers = mode?.moves === 'manager';
  if (ask.stopped === true && !isManagers)
    refuse(
      `guests that are off cannot be moved: ${mode?.words ?? 'no manager moves the guests of this host'}`,
      'Leave --stopped out: a host enters maintenance mode with guests that are off.',
    );
  if (!isManagers) return;
  if (ask.to !== undefined || ask.maxParallel !== undefined)
    refuse(
      `${mode.words} moves its guests, and chooses where to and how many at a time`,
      'Leave --to and --max-parallel out, or set DRS of the cluster to a lower level.',
    );
  const guest = forbiddenBy({ ask }, world);
  if (guest !== undefined)
    refuse(
      `${mode.words} would move ${guest}, which a label of it forbids`,
      `Give ${guest} a lower level of DRS of its own in vSphere, or take its label away.`,
    );
}

function checkEach({ kind, hosts, sites }: FleetRequestAsk, world: World): void {
  for (const host of hosts) {
    const facts = world.hosts.get(host);
    if (kind === 'roll' && facts?.realm !== undefined)
      refuse(
        `${host} has no agent of its own: nothing would report that it has started again`,
        `Drain it (\`godwit drain ${host}\`), restart it there, and \`godwit undrain ${host}\`.`,
      );
    // Godwit plans each guest if there is a deadline, since managers keep none.
    if (kind !== 'evacuate' || hosts.length === 1 || sites !== undefined) continue;
    const mode = facts?.maintenanceMode;
    if (mode?.moves !== 'manager') continue;
    refuse(
      `${mode.words} moves the guests of ${host}, and several hosts at once are not asked of it`,
      `Drain each by itself: \`godwit drain ${host}\` has it enter its manager’s maintenance mode.`,
    );
  }
}

function refuse(what: string, hint: string): never {
  throw godwitError('GODWIT_USAGE', { what }, { hint });
}
