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

export const simSpec = spec({
  name: 'sim',
  summary: "replay a site's own history under a policy",
  details:
    'Reads hosts.csv (name, cores, memory_gib, and idle_watts and busy_watts where known), guests.csv (name, host, cores, ' +
    'memory_gib) and load.csv (time in seconds, guest, cores), or in its place load.json, the answer of a Prometheus to a ' +
    'range query. Says what a policy would have done with them, beside what happened without any move. rightsize proposes smaller sizes. Asks no agent and moves nothing.',
  flags: {
    trace: { kind: 'file', value: 'directory', summary: 'where the files are (required)' },
    policy: {
      kind: 'choice',
      choices: ['balance', 'consolidate', 'rightsize'],
      preset: 'balance',
      summary: 'what is tried',
    },
    price: { kind: 'text', value: 'amount', summary: 'what a kWh costs, such as 0.30EUR' },
    trouble: {
      kind: 'count',
      value: 'number',
      summary:
        'add invented faults: hosts that fail, are drained or report nothing, moves that fail, sensors that report wrong values; the same number gives the same faults',
    },
    html: { kind: 'file', value: 'file', summary: 'a report with charts, as a page of its own' },
  },
  examples: [
    'sim --trace history --policy balance',
    'sim --trace history --policy consolidate --html report.html',
  ],
  json: 'sim',
});

export const baselineSpec = spec({
  name: 'baseline',
  summary: 'the greatest processor that several hosts have in common',
  details:
    'A guest that is started with it can move among all of them, for as long as they give it. Says what each host loses ' +
    'by it, and which guests that run have more. Without names it asks for all hosts that the agent knows. With --check ' +
    'it exits with 4 where that host cannot give the baseline of the others.',
  args: { hosts: { kind: 'host', summary: 'the hosts; default: all', repeatable: true } },
  flags: {
    check: {
      kind: 'host',
      value: 'host',
      summary: 'a new host: whether it can give the baseline of the others',
    },
  },
  examples: ['baseline', 'baseline a b c', 'baseline a b --check c'],
  usesAgent: true,
  json: 'baseline',
});
