import type { Flag } from './verb.ts';

/** Flags that verbs of several groups have. Data only: the help must not cost an import. */

/** How a list is printed. */
export const LIST = {
  output: {
    kind: 'choice',
    short: 'o',
    choices: ['table', 'wide', 'json', 'yaml', 'name'],
    summary:
      'a table; wide: with more columns, and none cut; JSON or YAML, as --json; names (ids of migrations) alone',
    preset: 'table',
  },
  watch: {
    kind: 'switch',
    short: 'w',
    summary: 'list again whenever the list has changed, until Ctrl-C',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'as -o name' },
  noHeaders: { kind: 'switch', summary: 'a table without its head' },
} as const satisfies Record<string, Flag>;

export const insteadOfAgents = {
  kind: 'text',
  value: 'where',
  summary: "ask a controller instead of agents: https://host:port, or its unix socket's path",
} as const satisfies Flag;

export const controller = {
  kind: 'text',
  value: 'where',
  summary:
    "the controller: https://host:port, or its unix socket's path (default: $GODWIT_CONTROLLER)",
} as const satisfies Flag;

export const controllerSocket = {
  kind: 'text',
  value: 'where',
  summary: "the controller: its unix socket's path (default: $GODWIT_CONTROLLER)",
} as const satisfies Flag;
