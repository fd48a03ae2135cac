import { SETTINGS } from './specs-migrate.ts';
import { spec } from './verb.ts';

export const planSpec = spec({
  name: 'plan',
  summary: 'predict what a migration would cost',
  details:
    'Checks the migration as `godwit check` does, measures the guest and the link for some seconds without stopping the ' +
    'guest, and says what the migration would come to, each figure as a range. Begins nothing. ' +
    'Exits with 0 where nothing refuses, else with the exit code of the first refusal.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: { kind: 'host', value: 'host', summary: 'the host to move it to (required)' },
    ...SETTINGS,
    compare: { kind: 'switch', summary: 'other modes and streams as well, side by side' },
  },
  examples: ['plan web1 --to b', 'plan web1 --to b --mode hybrid --compare'],
  usesAgent: true,
  json: 'plan',
});
