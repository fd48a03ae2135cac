import { z } from 'zod';

/** Names of volumes, by the rules of the programs that make them (`man lvm`). Pure. */

const LVM_NAME = /^[A-Za-z0-9_+.][A-Za-z0-9_+.-]{0,126}$/;
/** LVM keeps these to itself. */
const LVM_RESERVED =
  /^(?:snapshot|pvmove|\.{1,2}$)|_(?:cdata|cmeta|corig|cpool|cvol|imeta|iorig|mimage|mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|vpool|wcorig)/;

export const lvmGroupName = z
  .string()
  .max(127)
  .regex(LVM_NAME, 'a name that LVM takes')
  .refine((name) => !/^\.{1,2}$/.test(name), 'a name that LVM takes');

/** A logical volume that is no part of another. */
export const lvmName = z
  .string()
  .max(127)
  .refine((name) => lvmNameProblem(name) === undefined, 'a name that LVM takes');

/** Why LVM takes no logical volume of that name. */
export function lvmNameProblem(name: string): string | undefined {
  if (!LVM_NAME.test(name)) return 'LVM takes no such name';
  return LVM_RESERVED.test(name) ? 'LVM keeps names like that to itself' : undefined;
}
