import { row } from './row.ts';

/** What is wrong with a manager (a vCenter, a Hyper-V host) that a controller was given. */
export const managerErrors = {
  // Managers of a controller
  GODWIT_MANAGER_TAKEN: row(
    'a manager named {name} already exists',
    'Choose another name, or first remove that manager with `godwit manager remove`.',
    false,
    2,
    409,
  ),
  GODWIT_MANAGER_UNKNOWN: row(
    'no manager is named {manager}',
    'Run `godwit manager list` for the names.',
    false,
    3,
    404,
  ),
  GODWIT_MANAGER_REFUSED: row(
    '{manager} cannot be added: {what}',
    'Nothing was saved. Fix the cause, and add the manager again.',
    false,
    4,
    422,
  ),
  GODWIT_MANAGER_BUSY: row(
    '{manager} cannot be removed: {why}',
    'Wait until the migrations end, or cancel them. If another manager refers to this one, remove that manager first.',
    true,
    4,
    409,
  ),
  GODWIT_MANAGER_KEY: row(
    "the key for the managers' passwords cannot be used ({file}): {what}",
    'Restore the file that was in use when the managers were added, or remove the managers and add them again.',
    false,
    9,
    500,
  ),
} as const;
