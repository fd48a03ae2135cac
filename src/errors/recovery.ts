import { row } from './row.ts';

/** Why a guest of a dead host is not started elsewhere. */
export const recoveryErrors = {
  // Recovery
  GODWIT_STANDBY_NONE: row(
    '{host} has no description of {guest} from {from}',
    'Run `godwit recover {from} --dry-run` to see which hosts can start {guest}. If none can, make sure that {from} is off, and start {guest} by hand from its disks. Descriptions are kept while {from} runs and {guest} has the label godwit/recover=true.',
    false,
    4,
    404,
  ),
  GODWIT_STANDBY_STALE: row(
    'description {number} of {guest} from {from}, kept at {host}, may be out of date: {reason}. Last confirmation: {age}. It opens {disks}',
    'Compare these disks with the storage: they must have the newest data of {guest}. To start {guest} from this description anyway, run `godwit recover {from} --insist {guest}={number}`.',
    false,
    7,
    409,
  ),
  GODWIT_RECOVERY_UNPROVED: row(
    '{guest} of {from} is not started, because it may still be running: {reason}',
    'The fencing hook must prove that {from} is off, and every other host must report that it does not have {guest}. If another host is dead, too, name it in `godwit recover {from} HOST`, or remove it from the fleet with `godwit pki remove HOST`.',
    true,
    7,
    409,
  ),
} as const;
