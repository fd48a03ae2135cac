/** What each exit code means; docs/errors.md and the help show them. */
export const EXITS: readonly (readonly [number, string])[] = [
  [0, 'it is done'],
  [2, 'the command line or a configuration file is wrong'],
  [3, 'a name that nothing has'],
  [4, 'refused before anything started'],
  [5, 'failed; read the error for where the guest runs, mostly the source'],
  [6, 'cancelled; the guest runs on at the source'],
  [7, 'held or lost: a person must look'],
  [8, 'no answer, or not in time'],
  [9, 'not allowed'],
  [70, 'a defect of Godwit'],
  [
    130,
    'a signal ended the watching (129 SIGHUP, 130 Ctrl-C, 143 SIGTERM); what was watched goes on',
  ],
];
