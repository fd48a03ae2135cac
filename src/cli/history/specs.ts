import { spec } from '../verb.ts';
import { controller } from '../flags.ts';

/** The verbs that look back. Data only: the help must not cost an import. */

export const historySpec = spec({
  name: 'history',
  summary: 'every host that a guest was on, when and why',
  details: 'Asks a controller. What was tried there and came to nothing stands below each host.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: { controller },
  examples: ['history web1'],
  usesAgent: true,
  json: 'guestHistory',
});

export const auditSpec = spec({
  name: 'audit',
  summary: 'who asked the controller for which change, from where, and what came of it',
  details:
    'Asks a controller, over its unix socket or as an admin; the newest first. Refused attempts are there too, a bounded number a minute.',
  flags: {
    since: { kind: 'duration', summary: 'only what was asked within this time, such as 24h' },
    who: { kind: 'text', value: 'name', summary: 'only what this person, program or host asked' },
    what: {
      kind: 'text',
      value: 'route',
      summary: 'only this, as the column WHAT has it, such as revokeToken',
    },
    limit: { kind: 'count', summary: 'at most this many, up to 1000', preset: '50' },
    controller,
  },
  examples: ['audit --since 24h', 'audit --who ann --what createToken'],
  usesAgent: true,
  json: 'audit',
});

export const statsSpec = spec({
  name: 'stats',
  summary: 'durations, gaps and failures of the migrations of a fleet',
  details:
    'Downtime, client gap, duration and bytes of those that came to their end, and failures by their cause. Asks a ' +
    'controller where one is named, and else this host’s agent and its peers for the newest 500 ' +
    'reports of all. The client gap is the longest of the whole watch; with --prediction, the one at the switch.',
  flags: {
    since: { kind: 'duration', summary: 'of this time until now, such as 7d', preset: '30d' },
    prediction: {
      kind: 'switch',
      summary: 'how far predictions were off, and how many of their ranges held',
    },
    controller,
  },
  examples: ['stats --since 7d', 'stats --prediction'],
  usesAgent: true,
  json: 'insight',
});
