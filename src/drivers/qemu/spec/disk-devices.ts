import { valuesOf, type CommandLine } from './cmdline.ts';
import { parseDevice } from './devices.ts';
import type { LiveDisk } from './disk-facts.ts';
import type { GuestFacts, LiveDevice } from './facts.ts';
import { switchValue } from './options.ts';

/** The device that a disk is on; undefined for a part of the machine. */
export function deviceOf({ qdev }: LiveDisk, { devices }: GuestFacts): LiveDevice | undefined {
  return devices.find(({ path: own, id }) => {
    return qdev !== undefined && (qdev === own || qdev === id || qdev.startsWith(`${own}/`));
  });
}

/** Devices whose disk other guests may write to by agreement (`share-rw=on`), by QOM path. Pure. */
export function sharedDevices(
  line: CommandLine,
  { devices }: Pick<GuestFacts, 'devices'>,
): ReadonlySet<string> {
  const shared = new Set<string>();
  let anonymous = 0;
  for (const { id, props } of valuesOf(line, 'device').map(parseDevice)) {
    const path =
      id === undefined
        ? `/machine/peripheral-anon/device[${anonymous++}]`
        : `/machine/peripheral/${id}`;
    if (switchValue(props['share-rw']) === true) shared.add(path);
  }
  // Devices that were plugged in, which no option names.
  for (const { path, changed } of devices)
    if (switchValue(changed?.['share-rw']) === true) shared.add(path);
  return shared;
}
