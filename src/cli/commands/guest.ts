import type { GuestInfo } from '../../protocol/public/host.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { printJson } from '../context.ts';
import { incomplete } from '../agent-set.ts';
import { sayIncomplete } from '../failure.ts';
import { findGuest } from '../fleet-guests.ts';
import { contextPainter } from '../render/paint.ts';
import { movingWords } from '../render/moving.ts';
import { printable } from '../render/style.ts';
import type { Painter } from '../render/style.ts';
import { renderPairs } from '../render/table.ts';
import type { guestSpec } from '../specs.ts';
import type { Run } from '../verb.ts';

export const run: Run<typeof guestSpec> = async (input, context) => {
  const fleet = await context.connect(input.connection);
  try {
    const { guest, missing } = await findGuest(fleet, input.args.guest);
    if (input.json) printJson(context, { ...guest, missing });
    else context.out.write(guestText(guest, contextPainter(context)));
    // One of them may have another of that name, or the other end of its migration.
    const lacks = incomplete(`what is known of ${guest.name}`, missing);
    return lacks === undefined ? 0 : sayIncomplete(context, lacks);
  } finally {
    fleet.close();
  }
};

/** A guest as lines for people. */
export function guestText(guest: GuestInfo, paint: Painter): string {
  const known = (value: string | number | undefined): string => printable(String(value ?? '-'));
  const nics = guest.nics.map(({ id, mac, bridge }) => `${id} ${mac} on ${bridge ?? 'no bridge'}`);
  const devices = guest.devices.map(({ id, type }) => `${id} (${type})`);
  const disks = (guest.disks ?? []).map((disk) => {
    return `${disk.name} ${disk.file} (${disk.format}, ${formatBytes(disk.bytes)})`;
  });
  const verdict =
    guest.unmovable.length === 0
      ? paint.green('nothing known to stop it from moving')
      : paint.yellow(guest.unmovable.map(printable).join('; '));
  return renderPairs(
    [
      ['guest', paint.bold(printable(guest.name))],
      ['host', guest.host],
      ['state', guest.state],
      ['memory', guest.memoryBytes === undefined ? '-' : formatBytes(guest.memoryBytes)],
      ['vcpus', known(guest.vcpus)],
      ['machine', known(guest.machineType)],
      ['hypervisor', printable(`${guest.driver} ${guest.hypervisorVersion ?? ''}`).trim()],
      ['accelerator', known(guest.accelerator)],
      ['uuid', known(guest.uuid)],
      ['process', known(guest.pid)],
      ['manager', known(guest.manager ?? 'none')],
      ['network', printable(nics.join(', ')) || 'none'],
      ...(disks.length === 0 ? [] : [['disks', printable(disks.join(', '))] as const]),
      ['devices', printable(devices.join(', ')) || 'none'],
      ['migration', guest.migration === undefined ? 'none' : movingWords(guest)],
      ['moving', verdict],
    ],
    paint,
  );
}
