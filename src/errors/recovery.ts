import { row } from './row.ts';

/** Why a guest of a dead host is not started elsewhere. */
export const recoveryErrors = {
  // Recovery
  GODWIT_STANDBY_NONE: row(
    '{host} is no standby of {guest} of {from}',
    'A host keeps what starts a guest only while the guest’s own host says so: label the guest godwit/recover=true, and let a controller follow both.',
    false,
    4,
    404,
  ),
  GODWIT_STANDBY_STALE: row(
    'description {number} of {guest} of {from}, kept at {host}, may be out of date: {reason}. It was confirmed {age}, and opens {disks}',
    'Compare these disks with the storage. To start {guest} from this description all the same, run `godwit recover {from} --insist {guest}={number}`.',
    false,
    7,
    409,
  ),
  GODWIT_RECOVERY_UNPROVED: row(
    'nothing proves that {guest} of {from} runs nowhere: {reason}',
    'It is started once its host is proved off by the fencing hook, and every other host answers that it does not have it.',
    true,
    7,
    409,
  ),
} as const;
