import { spec, type Flag } from '../verb.ts';

/**
 * The verbs of standing policies and their proposals, of placement and of processors. Data only: the help must not cost
 * an import.
 */

const LOOK = {
  group: { kind: 'text', value: 'name', summary: 'the group of hosts', preset: 'fleet' },
  dryRun: { kind: 'switch', summary: 'show the proposals without storing them' },
  yes: { kind: 'switch', summary: 'do not ask' },
} as const satisfies Record<string, Flag>;

const LOOKS =
  'Asks a controller for proposals now, shows them, asks for confirmation, and accepts them: their moves become requests. ' +
  'Without confirmation, they stay open.';

export const balanceSpec = spec({
  name: 'balance',
  summary: 'move guests away from overloaded hosts',
  details: LOOKS,
  flags: LOOK,
  examples: ['policy balance --dry-run', 'policy balance --yes'],
  uses: 'controller',
  json: 'policyLook (once accepted: accepted)',
});

export const consolidateSpec = spec({
  name: 'consolidate',
  summary: 'move guests to fewer hosts; no host is powered off or on',
  details: LOOKS,
  flags: LOOK,
  examples: ['policy consolidate --dry-run', 'policy consolidate --group night --yes'],
  uses: 'controller',
  json: 'policyLook (once accepted: accepted)',
});

export const proposalsSpec = spec({
  name: 'proposals',
  summary: 'list the proposals of policies with their results; accept, reject or postpone one',
  details:
    'Asks a controller. Without an id: the open proposals. With an id: its reason, benefit and cost, alternative ' +
    'hosts, and its result.',
  args: { id: { kind: 'text', summary: "a proposal's id; default: all open proposals" } },
  flags: {
    state: {
      kind: 'choice',
      choices: ['open', 'snoozed', 'accepted', 'rejected', 'expired', 'done', 'left'],
      summary: 'only proposals in this state',
      preset: 'open',
    },
    accept: { kind: 'switch', summary: 'accept it: request its moves' },
    reject: {
      kind: 'text',
      value: 'reason',
      summary:
        'reject it; the same proposal is not made again for a day, or for the time in the policy',
    },
    snooze: { kind: 'duration', summary: 'postpone it by this time' },
  },
  examples: [
    'policy proposals',
    'policy proposals --state done',
    'policy proposals p-4f2a9c1d07b3e586 --accept',
    "policy proposals p-4f2a9c1d07b3e586 --reject 'not at the end of a month'",
  ],
  uses: 'controller',
  json: 'proposals (with an id: proposal; with --accept: accepted)',
});

export const listSpec = spec({
  name: 'list',
  summary: 'list the policies, with the last observation of each',
  examples: ['policy list'],
  uses: 'controller',
  json: 'policies',
});

export const setSpec = spec({
  name: 'set',
  summary: 'set or remove the policy of a group of hosts',
  details:
    'A policy moves nothing by itself unless its mode is automatic. Omitted settings do not change.',
  args: {
    kind: {
      kind: 'choice',
      choices: ['balance', 'consolidate'],
      summary: 'the policy',
      required: true,
    },
  },
  flags: {
    mode: {
      kind: 'choice',
      value: 'mode',
      choices: ['off', 'propose', 'approve', 'automatic'],
      summary:
        'propose needs a confirmation for each proposal, approve one for all of them, automatic none',
    },
    group: { kind: 'text', value: 'name', summary: 'the group of hosts', preset: 'fleet' },
    hosts: { kind: 'text', value: 'hosts', summary: 'the hosts of the group, such as a,b' },
    level: { kind: 'count', summary: 'level of balance, from 1 (only urgent moves) to 5' },
    movesPerHour: { kind: 'count', summary: 'maximum number of moves within an hour' },
    remove: { kind: 'switch', summary: 'remove the policy of the group' },
  },
  examples: [
    'policy set balance --mode automatic --level 2',
    'policy set consolidate --group night --hosts a,b,c --mode approve',
    'policy set consolidate --group night --remove',
  ],
  uses: 'controller',
  json: 'policy',
});

export const placeSpec = spec({
  name: 'place',
  summary: 'find the best host for a new guest',
  details: 'Asks a controller. Starts and reserves nothing. Exits with 4 if no host has room.',
  flags: {
    memory: { kind: 'bytes', summary: 'its memory (required)' },
    cpus: { kind: 'count', summary: 'its processors (required)' },
    label: {
      kind: 'text',
      value: 'name=value',
      repeatable: true,
      summary: 'a label of the new guest, such as godwit/anti-affinity=web',
    },
    on: { kind: 'text', value: 'hosts', summary: 'only these hosts, such as a,b' },
  },
  examples: [
    'advise place --memory 8G --cpus 4',
    'advise place --memory 8G --cpus 4 --label godwit/anti-affinity=web',
  ],
  uses: 'controller',
  json: 'placement',
});

export const cpuSpec = spec({
  name: 'cpu',
  summary: 'compute the best CPU model that several hosts have in common',
  details:
    'A guest that is started with it can move among all these hosts, as long as they provide it. Shows the features ' +
    'that each host loses, and the running guests that have more. Without names, compares all hosts that the agent ' +
    'can reach. With --candidate, exits with 4 if that host cannot provide the baseline of the others.',
  args: { hosts: { kind: 'host', summary: 'the hosts; default: all', repeatable: true } },
  flags: {
    candidate: {
      kind: 'host',
      value: 'host',
      summary: 'check whether this new host can provide the baseline of the others',
    },
  },
  examples: ['advise cpu', 'advise cpu a b c', 'advise cpu a b --candidate c'],
  uses: 'agent',
  json: 'baseline',
});

export const replaySpec = spec({
  name: 'replay',
  summary: "replay a site's history under a policy",
  details:
    'Reads hosts.csv (name, cores, memory_gib, and optionally idle_watts and busy_watts), guests.csv (name, host, ' +
    'cores, memory_gib) and load.csv (time in seconds, guest, cores). Instead of load.csv, it accepts load.json: the ' +
    'answer of a Prometheus to a range query. Compares the effect of a policy with the history without any moves. ' +
    'rightsize proposes smaller sizes. Asks no agent and moves nothing.',
  flags: {
    trace: { kind: 'file', value: 'directory', summary: 'the directory with the files (required)' },
    policy: {
      kind: 'choice',
      choices: ['balance', 'consolidate', 'rightsize'],
      preset: 'balance',
      summary: 'the policy to replay',
    },
    price: { kind: 'text', value: 'amount', summary: 'the price of a kWh, such as 0.30EUR' },
    trouble: {
      kind: 'count',
      value: 'number',
      summary:
        'add invented faults: hosts that fail, are drained or report nothing, moves that fail, sensors that report wrong values; the same number gives the same faults',
    },
    html: { kind: 'file', value: 'file', summary: 'write a report with charts to this file' },
  },
  examples: [
    'advise replay --trace history --policy balance',
    'advise replay --trace history --policy consolidate --html report.html',
  ],
  json: 'sim',
});
