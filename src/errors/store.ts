import { row } from './row.ts';

/** What is wrong with the database of a controller. */
export const storeErrors = {
  // The controller's database
  GODWIT_STORE: row(
    'the database {where} cannot be used: {what}',
    'The message comes from the database. The controller continues when the database answers again, and no accepted request is lost.',
    true,
    8,
    503,
  ),
  GODWIT_STORE_FOREIGN: row(
    'the database {where} does not belong to a Godwit controller: {what}',
    'Configure another database, or an empty one. Nothing in it was changed.',
    false,
    2,
    500,
  ),
  GODWIT_STORE_NEWER: row(
    'the database {where} has version {version}, and this build supports versions up to {known}',
    'Start a controller of the build that made it, or a newer one. Nothing in it was changed.',
    false,
    2,
    500,
  ),
  GODWIT_STORE_IN_USE: row(
    'the database {where} has version {version} and is in use by {controllers} of an older build; this build needs version {known}',
    'Stop every controller of the older build, then start this one. Migrations continue in the meantime. A controller that was killed counts as running for 8 s. Nothing was changed.',
    true,
    8,
    503,
  ),
} as const;
