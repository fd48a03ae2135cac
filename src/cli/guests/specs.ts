import { spec } from '../verb.ts';
import { LIST, insteadOfAgents } from '../flags.ts';

/** The verbs that show hosts and guests. Data only: the help must not cost an import. */

export const hostsSpec = spec({
  name: 'hosts',
  summary: 'list the hosts that an agent knows, itself among them',
  flags: { controller: insteadOfAgents, ...LIST },
  examples: [
    'hosts',
    'hosts --context prod',
    'hosts --controller /var/lib/godwit-controller/controller.sock',
  ],
  usesAgent: true,
  json: 'hosts (with --controller: fleetHosts)',
});

export const guestsSpec = spec({
  name: 'guests',
  aliases: ['list', 'ls'],
  summary: 'list the guests of all hosts',
  flags: {
    on: { kind: 'host', value: 'host', summary: 'only the guests of this host' },
    fresh: {
      kind: 'switch',
      summary: 'ask each guest now; without it, an agent answers from what it saw in the last 10 s',
    },
    controller: insteadOfAgents,
    ...LIST,
  },
  examples: ['guests', 'guests --on b'],
  usesAgent: true,
  json: 'guests (with --controller: fleetGuests)',
});

export const guestSpec = spec({
  name: 'guest',
  summary: 'show one guest, and what would stop it from moving',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  examples: ['guest web1'],
  usesAgent: true,
  json: 'guest',
});

export const labelSpec = spec({
  name: 'label',
  summary: 'show, set and take away labels of a guest',
  details:
    'NAME=VALUE sets a label, NAME- takes it away; without one, the labels are shown. They stay with the guest when it ' +
    'moves. A controller goes by godwit/never-move, godwit/max-downtime, godwit/anti-affinity, godwit/window, godwit/notice, godwit/unplug, ' +
    'godwit/plug, godwit/priority and godwit/recover. `godwit migrate` at an agent is your own order: it goes by godwit/unplug and godwit/plug, ' +
    'warns by godwit/max-downtime and godwit/realtime, and does not keep to the others; see docs/fleet.md.',
  args: {
    guest: { kind: 'guest', summary: "the guest's name", required: true },
    changes: { kind: 'text', summary: 'such as team=web, or team-', repeatable: true },
  },
  examples: [
    'label web1',
    'label db1 godwit/never-move=true',
    'label web1 godwit/anti-affinity=web team-',
  ],
  usesAgent: true,
  json: 'labels',
});
