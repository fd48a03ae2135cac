import { defined } from '../../../../protocol/defined.ts';
import type { LiveDisk } from './disk-facts.ts';
import type { Scalar } from '../options.ts';
import type { DeviceSpec } from '../schema.ts';

/** Drives of the machine, from `-drive`, `-hda` or `-fda`. The destination gets them as devices. Pure. */

type Props = Readonly<Record<string, Scalar>>;

/** If a drive is given as a device, QEMU no longer creates the empty default drives of its kind. */
const KINDS = [/^ide-(hd|cd)$/, /^floppy$/];

export function builtInDrives(
  disks: readonly LiveDisk[],
  filled: ReadonlyMap<LiveDisk, Props>,
  machineType: string,
): DeviceSpec[] {
  const found = [...filled].flatMap(([disk, props]) => deviceOf(disk, props));
  const empty = KINDS.filter((kind) => found.some(({ driver }) => kind.test(driver))).flatMap(
    (kind) =>
      disks
        .filter(({ root, builtIn }) => root === undefined && kind.test(builtIn?.type ?? ''))
        .flatMap((disk) => deviceOf(disk, {})),
  );
  const all = [...found, ...empty];
  // This machine has a floppy controller only if `-fda` requires one.
  const lacksController =
    machineType.startsWith('pc-q35-') && all.some(({ driver }) => driver === 'floppy');
  return lacksController ? [{ driver: 'isa-fdc', props: {} }, ...all] : all;
}

function deviceOf({ builtIn }: LiveDisk, props: Props): DeviceSpec[] {
  if (builtIn === undefined) return [];
  const { type, bus, unit } = builtIn;
  const at = {
    ...defined({ bus }),
    ...(unit === undefined ? {} : { unit: String(unit) }),
  };
  return [{ driver: type, props: { ...at, ...props } }];
}
