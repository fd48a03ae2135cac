import { z } from 'zod';

/** Volume names by their programs' rules (`man lvm`, `man zfs`). Pure. */

const LVM_NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$/;
/** Reserved by LVM. */
const LVM_RESERVED =
  /^(?:snapshot|pvmove|\.{1,2}$)|_(?:cdata|cmeta|corig|cpool|cvol|imeta|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|vpool|wcorig)/;

export const lvmGroupName = z
  .string()
  .max(127)
  .regex(LVM_NAME, 'a name that LVM takes')
  .refine((name) => !/^\.{1,2}$/.test(name), 'a name that LVM takes');

/** A logical volume that is not part of another one. */
export const lvmName = z
  .string()
  .max(127)
  .refine((name) => lvmNameProblem(name) === undefined, 'a name that LVM takes');

export function lvmNameProblem(name: string): string | undefined {
  if (!LVM_NAME.test(name)) return 'LVM takes no such name';
  return LVM_RESERVED.test(name) ? 'LVM keeps names like that to itself' : undefined;
}

const ZFS_PART = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
/** Length of a whole name, with its data set. */
const MAX_ZFS = 255;
/** Longest data set, which leaves room for its volumes' names. */
const MAX_DATASET = 126;

/** POOL, or POOL/NAME and so on. */
export const zfsDataset = z
  .string()
  .max(MAX_DATASET)
  .refine(
    (name) => /^[A-Za-z]/.test(name) && name.split('/').every((part) => ZFS_PART.test(part)),
    'a data set of ZFS: POOL/NAME',
  );

export function zfsNameProblem(name: string): string | undefined {
  return ZFS_PART.test(name) && name.length < MAX_ZFS - MAX_DATASET
    ? undefined
    : 'ZFS takes no such name';
}
