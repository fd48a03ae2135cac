import { spec, type Flag } from '../verb.ts';
import { controller } from '../flags.ts';

/** The verbs of standing policies and their proposals, of placement and of processors. Data only: the help must not cost an import. */

const LOOK = {
  group: { kind: 'text', value: 'name', summary: 'of this group of hosts', preset: 'fleet' },
  dryRun: { kind: 'switch', summary: 'show what would be proposed and store nothing' },
  yes: { kind: 'switch', summary: 'do not ask' },
  controller,
} as const satisfies Record<string, Flag>;

const LOOKS =
  'Asks a controller to look now, shows the proposals, asks, and accepts them: their moves become wishes. Without a yes they ' +
  'stay open for others to decide.';

export const balanceSpec = spec({
  name: 'balance',
  summary: 'move guests away from hosts on which they ask for more than there is',
  details: LOOKS,
  flags: LOOK,
  examples: ['balance --dry-run', 'balance --yes'],
  usesAgent: true,
  json: 'policyLook (once accepted: accepted)',
});

export const consolidateSpec = spec({
  name: 'consolidate',
  summary: 'put guests on fewer hosts; no host is powered off or on',
  details: LOOKS,
  flags: LOOK,
  examples: ['consolidate --dry-run', 'consolidate --group night --yes'],
  usesAgent: true,
  json: 'policyLook (once accepted: accepted)',
});

export const proposalsSpec = spec({
  name: 'proposals',
  summary: 'what policies propose, and what became of it; accept, reject or put off one',
  details:
    'Asks a controller. Without an id: those that are open. With one: why, what it brings and costs, the other hosts that would ' +
    'do, and what it came to.',
  args: { id: { kind: 'text', summary: "a proposal's id; all that are open when left out" } },
  flags: {
    state: {
      kind: 'choice',
      choices: ['open', 'snoozed', 'accepted', 'rejected', 'expired', 'done', 'left'],
      summary: 'those in this state',
      preset: 'open',
    },
    accept: { kind: 'switch', summary: 'ask for its moves' },
    reject: {
      kind: 'text',
      value: 'reason',
      summary: 'reject it; the same is not proposed again for a day, or as the policy says',
    },
    snooze: { kind: 'duration', summary: 'put it off for that long' },
    controller,
  },
  examples: [
    'proposals',
    'proposals --state done',
    'proposals p-4f2a9c1d07b3e586 --accept',
    "proposals p-4f2a9c1d07b3e586 --reject 'not at the end of a month'",
  ],
  usesAgent: true,
  json: 'proposals (with an id: proposal; with --accept: accepted)',
});

export const policySpec = spec({
  name: 'policy',
  summary: 'the standing policies; set one',
  details:
    'Asks a controller. A policy moves nothing by itself unless its mode is automatic. What is not given stays as it is set.',
  args: {
    kind: {
      kind: 'choice',
      choices: ['balance', 'consolidate'],
      summary: 'the policy to set; all are listed when left out',
    },
  },
  flags: {
    mode: {
      kind: 'choice',
      choices: ['off', 'propose', 'approve', 'automatic'],
      summary: 'off, propose (a person accepts each), approve (one look at once), automatic',
    },
    group: { kind: 'text', value: 'name', summary: 'of a group of hosts', preset: 'fleet' },
    hosts: { kind: 'text', value: 'hosts', summary: 'the hosts of the group, such as a,b' },
    level: { kind: 'count', summary: 'of balance: 1 (only what cannot stay) to 5' },
    movesPerHour: { kind: 'count', summary: 'moves within an hour, at most' },
    remove: { kind: 'switch', summary: 'remove the policy of the group' },
    controller,
  },
  examples: [
    'policy',
    'policy balance --mode automatic --level 2',
    'policy consolidate --group night --hosts a,b,c --mode approve',
    'policy consolidate --group night --remove',
  ],
  usesAgent: true,
  json: 'policies (with a policy: policy)',
});

export const placeSpec = spec({
  name: 'place',
  summary: 'the best host for a guest that starts now',
  details: 'Asks a controller. Starts and reserves nothing. Exits with 4 where no host has room.',
  flags: {
    memory: { kind: 'bytes', summary: 'its memory (required)' },
    cpus: { kind: 'count', summary: 'its processors (required)' },
    label: {
      kind: 'text',
      value: 'name=value',
      repeatable: true,
      summary: 'a label that it will have, such as godwit/anti-affinity=web',
    },
    on: { kind: 'text', value: 'hosts', summary: 'one of these, such as a,b' },
    controller,
  },
  examples: [
    'place --memory 8G --cpus 4',
    'place --memory 8G --cpus 4 --label godwit/anti-affinity=web',
  ],
  usesAgent: true,
  json: 'placement',
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
