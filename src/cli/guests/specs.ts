import { spec } from '../verb.ts';
import { LIST } from '../flags.ts';

/** The verbs that show hosts and guests. Data only: the help must not cost an import. */

export const hostsSpec = spec({
  name: 'hosts',
  summary: 'list the hosts that an agent can reach, including its own',
  flags: LIST,
  examples: [
    'hosts',
    'hosts --context prod',
    'hosts --controller /var/lib/godwit-controller/controller.sock',
  ],
  uses: 'agent',
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
      summary: 'query each guest now; by default, an agent answers from its data of the last 10 s',
    },
    ...LIST,
  },
  examples: ['guests', 'guests --on b'],
  uses: 'agent',
  json: 'guests (with --controller: fleetGuests)',
});

export const guestSpec = spec({
  name: 'guest',
  summary: 'show one guest, and the obstacles to moving it',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  examples: ['guest web1'],
  uses: 'agent',
  json: 'guest',
});

export const labelSpec = spec({
  name: 'label',
  summary: 'show, set and remove labels of a guest',
  details:
    'NAME=VALUE sets a label, NAME- removes it; without either, the labels are shown. Labels move with the guest. A ' +
    'controller respects godwit/never-move, godwit/max-downtime, godwit/anti-affinity, godwit/window, godwit/notice, ' +
    'godwit/unplug, godwit/plug, godwit/priority and godwit/recover. `godwit migrate` at an agent is a direct order: ' +
    'it respects godwit/unplug and godwit/plug, warns about godwit/max-downtime and godwit/realtime, and ignores the ' +
    'others; see docs/fleet.md.',
  args: {
    guest: { kind: 'guest', summary: "the guest's name", required: true },
    changes: { kind: 'text', summary: 'such as team=web, or team-', repeatable: true },
  },
  examples: [
    'label web1',
    'label db1 godwit/never-move=true',
    'label web1 godwit/anti-affinity=web team-',
  ],
  uses: 'agent',
  json: 'labels',
});
