import { spec } from '../verb.ts';

/** Verbs about the past. Data only: the help must not cost an import. */

export const historySpec = spec({
  name: 'history',
  summary: "list a guest's hosts over time, with reasons",
  details: 'Asks a controller. Failed attempts are listed below each host.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  examples: ['history web1'],
  uses: 'controller',
  json: 'guestHistory',
});

export const auditSpec = spec({
  name: 'audit',
  summary:
    'list the changes requested from the controller, with the requester, its address and the result',
  details:
    'Asks a controller over its Unix socket, or as an admin; newest first. Refused attempts are listed, too, up to a ' +
    'number per minute.',
  flags: {
    since: { kind: 'duration', summary: 'only requests within this time, such as 24h' },
    who: { kind: 'text', value: 'name', summary: 'only requests of this person, program or host' },
    what: {
      kind: 'text',
      value: 'route',
      summary: 'only this entry of the column WHAT, such as revokeToken',
    },
    limit: { kind: 'count', summary: 'the number of entries to show, up to 1000', preset: '50' },
  },
  examples: ['audit --since 24h', 'audit --who ann --what createToken'],
  uses: 'controller',
  json: 'audit',
});

export const statsSpec = spec({
  name: 'stats',
  summary: "show durations, gaps and failures of a fleet's migrations",
  details:
    'Downtime, client gap, duration and bytes of completed migrations, and failures by cause. Asks a controller if ' +
    "one is named; otherwise, asks this host's agent and its peers for the newest 500 reports in all. The client gap " +
    'is the longest of the whole watch; with --prediction, the one at the switchover.',
  flags: {
    since: {
      kind: 'duration',
      summary: 'only migrations within this time, such as 7d',
      preset: '30d',
    },
    prediction: {
      kind: 'switch',
      summary: 'the error of the predictions, and how many of their ranges held',
    },
  },
  examples: ['stats --since 7d', 'stats --prediction'],
  uses: 'agent',
  json: 'insight',
});
