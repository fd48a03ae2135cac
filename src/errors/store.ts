import { row } from './row.ts';

/** What is wrong with the database of a controller. */
export const storeErrors = {
  // The controller's database
  GODWIT_STORE: row(
    'the database {where} cannot be used: {what}',
    'The words are the database’s own. The controller goes on by itself once it answers again; nothing that it accepted is lost.',
    true,
    8,
    503,
  ),
  GODWIT_STORE_FOREIGN: row(
    'the database {where} is not one of a Godwit controller: {what}',
    'Name another one, or an empty one; nothing in it was changed.',
    false,
    2,
    500,
  ),
  GODWIT_STORE_NEWER: row(
    'the database {where} is of version {version}, and this build knows {known}',
    'Start a controller of the build that made it, or a newer one; nothing in it was changed.',
    false,
    2,
    500,
  ),
  GODWIT_STORE_IN_USE: row(
    'the database {where} is of version {version}, this build makes it version {known}, and {controllers} of an older build works on it',
    'Stop every controller of the older build, then start this one; migrations go on meanwhile. One that was killed counts as running for 8 s. Nothing was changed.',
    true,
    8,
    503,
  ),
} as const;
