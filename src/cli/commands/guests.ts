import type { GuestInfo } from '../../protocol/public/host.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { godwitError } from '../../errors.ts';
import { printJson } from '../context.ts';
import { allGuests, askAny } from '../agent-set.ts';
import type { AgentSet } from '../agent-set.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { tableLook } from '../render/paint.ts';
import type { Painter } from '../render/style.ts';
import { renderTable } from '../render/table.ts';
import type { guestsSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof guestsSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { on, fresh } = input.flags;
    const all = await askAny(fleet, (endpoint) => allGuests(endpoint, fresh));
    const guests = on === undefined ? all : all.filter((each) => each.host === on);
    if (on !== undefined && guests.length === 0) await checkHost(fleet, on);
    if (input.json) return printJson(context, { guests });
    if (guests.length === 0) return context.out.write('no guests\n');
    const look = tableLook(context);
    context.out.write(
      renderTable(
        ['GUEST', 'HOST', 'STATE', 'MEMORY', 'VCPUS', 'MACHINE', 'HYPERVISOR', 'NOTE'],
        guests.map((guest) => guestRow(guest, look.paint)),
        look,
      ),
    );
  } finally {
    fleet.close();
  }
};

async function checkHost(fleet: AgentSet, host: string): Promise<void> {
  const { hosts } = await askAny(fleet, (endpoint) => endpoint.api.hosts());
  if (hosts.some((each) => each.name === host)) return;
  const near = didYouMean(
    host,
    hosts.map((each) => each.name),
  );
  const hint = near === undefined ? {} : { hint: `${near} \`godwit hosts\` lists all.` };
  throw godwitError('GODWIT_HOST_UNKNOWN', { host: host.slice(0, 80) }, hint);
}

function guestRow(guest: GuestInfo, paint: Painter): string[] {
  return [
    guest.name,
    guest.host,
    guest.state === 'running' ? paint.green(guest.state) : guest.state,
    guest.memoryBytes === undefined ? '-' : formatBytes(guest.memoryBytes),
    guest.vcpus === undefined ? '-' : String(guest.vcpus),
    guest.machineType ?? '-',
    `${guest.driver} ${guest.hypervisorVersion ?? ''} ${guest.accelerator ?? ''}`.trim(),
    noteOf(guest, paint),
  ];
}

function noteOf(guest: GuestInfo, paint: Painter): string {
  if (guest.migration !== undefined) return paint.cyan(`migrating: ${guest.migration}`);
  if (guest.manager !== undefined) return paint.yellow(`managed by ${guest.manager}`);
  const [first] = guest.unmovable;
  return first === undefined ? '' : paint.yellow(`cannot move: ${first}`);
}
