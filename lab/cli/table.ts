import { tableWith } from '../../src/cli/table.ts';
import type { VerbGroup } from '../../src/cli/verb.ts';

const LAB: VerbGroup = {
  name: 'lab',
  summary:
    'hosts, guests and a client on this machine, to try Godwit and to test it; in a clone only',
  examples: ['lab up --hosts 3 --link 1gbit', 'lab guest web1 --host a --memory 512M'],
  verbs: async () => (await import('./lab.ts')).LAB_VERBS,
};

/** The verbs of `./godwit` in a clone: the product's, and those of the lab. */
export const TABLE_WITH_LAB = tableWith(LAB);
