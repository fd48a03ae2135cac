import { row } from './row.ts';

/** What is wrong with a manager (a vCenter, a Hyper-V host) that a controller was given. */
export const managerErrors = {
  // Managers of a controller
  GODWIT_MANAGER_TAKEN: row(
    'there is a manager named {name} already',
    'Choose another name, or remove that one first with `godwit manager remove`.',
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
    'Nothing was kept. Remove what prevents it, and add it again.',
    false,
    4,
    422,
  ),
  GODWIT_MANAGER_BUSY: row(
    '{manager} cannot be removed: {why}',
    'Wait until migrations have ended, or cancel them; first remove a manager that names this one.',
    true,
    4,
    409,
  ),
  GODWIT_MANAGER_KEY: row(
    'the key of the managers’ passwords cannot be used ({file}): {what}',
    'Bring the file back as it was when they were added, or remove the managers and add them again.',
    false,
    9,
    500,
  ),
} as const;
