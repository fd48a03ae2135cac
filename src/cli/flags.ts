import type { Flag } from './verb.ts';

/** Flags shared by verbs of several groups. Data only: the help must not cost an import. */

export const LIST = {
  output: {
    kind: 'choice',
    short: 'o',
    choices: ['table', 'wide', 'json', 'yaml', 'name'],
    summary:
      'table, wide (more columns, none cut), json and yaml (as --json), or name (only names or ids)',
    preset: 'table',
  },
  watch: {
    kind: 'switch',
    short: 'w',
    summary: 'repeat the list whenever it changes, until Ctrl-C',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'the same as -o name' },
  noHeaders: { kind: 'switch', summary: 'a table without its header' },
} as const satisfies Record<string, Flag>;
