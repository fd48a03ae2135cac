import { spec, type Flag } from '../verb.ts';

/** The verbs that maintain hosts of a fleet. Data only: the help must not cost an import. */

export const emptying = {
  to: {
    kind: 'text',
    value: 'hosts',
    summary: 'where guests may go, such as b,c (default: anywhere)',
  },
  maxParallel: { kind: 'count', summary: 'maximum number of moves at a time' },
  dryRun: { kind: 'switch', summary: 'show the plan and change nothing' },
  yes: { kind: 'switch', summary: 'do not ask' },
  detach: { kind: 'switch', summary: 'print the id and return at once' },
  rollBack: { kind: 'switch', summary: 'with --cancel: also roll back the moves in progress' },
} as const satisfies Readonly<Record<string, Flag>>;

export const drainSpec = spec({
  name: 'drain',
  summary: 'empty a host: all its guests move to other hosts',
  details:
    'Asks a controller. Shows the plan with its predicted end and the guests that stay, asks for confirmation, and ' +
    'follows the drain until the host is empty or nothing more can be done. The host accepts no guests until ' +
    '`godwit undrain`. A signal detaches: the drain continues. A host of a manager enters maintenance mode if the manager ' +
    'has one; the plan shows whether Godwit or the manager moves its guests. Exits with 0 when the host has no ' +
    'guests left, 5 if some stay, 6 if the drain was cancelled.',
  args: { host: { kind: 'host', summary: 'the host to empty', required: true } },
  flags: {
    to: emptying.to,
    deadline: {
      kind: 'text',
      value: 'time',
      summary:
        'when the host must be empty: a duration (30m), a time of day (18:00) or a date and time; a plan that ends later is refused',
    },
    maxParallel: emptying.maxParallel,
    notice: {
      kind: 'duration',
      summary:
        'notify the owner of each guest this long before its move, 1s to 1h; a longer time in its label godwit/notice takes precedence',
    },
    cold: {
      kind: 'switch',
      summary:
        'shut down guests that cannot move live, and start them on the destination, in their window',
    },
    stopped: {
      kind: 'switch',
      summary: 'also move guests that are off, if the manager of the host can',
    },
    dryRun: emptying.dryRun,
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: { kind: 'switch', summary: 'cancel the drain of that host: no further moves start' },
    rollBack: emptying.rollBack,
  },
  examples: [
    'drain a --dry-run',
    'drain a --to b,c --deadline 30m',
    'drain a --yes --detach',
    'drain a --cancel',
  ],
  uses: 'controller',
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const evacuateSpec = spec({
  name: 'evacuate',
  summary: 'empty a site by a deadline, important guests first',
  details:
    'Asks a controller whose configuration has the line between both sites. The label godwit/priority sets the ' +
    'order. Shows which guests arrive in time and how (pre-copy, post-copy, a pause), their data volume and its ' +
    'cost, and the guests that are left with the reason; asks for confirmation, and follows. The plan is updated ' +
    'during the evacuation: no move starts that would end after the deadline or exceed the budget. A signal ' +
    'detaches. Exits with 0 when the site has no guests left, 5 if some are left, 6 if the evacuation was cancelled.',
  args: {},
  flags: {
    site: { kind: 'text', value: 'site', summary: 'the site to empty (required)' },
    to: { kind: 'text', value: 'site', summary: 'the site that the guests move to' },
    deadline: {
      kind: 'text',
      value: 'time',
      summary:
        'when the guests must have moved: a duration (20m), a time of day (18:00) or a date and time',
    },
    budget: { kind: 'bytes', summary: 'the data that all moves together may send, such as 2GB' },
    maxPause: {
      kind: 'duration',
      summary:
        'how long a guest may be paused if it cannot move otherwise, at most 60s (default: not at all)',
    },
    maxParallel: { kind: 'count', summary: 'maximum number of moves at a time' },
    dryRun: { kind: 'switch', summary: 'show the plan and change nothing' },
    yes: { kind: 'switch', summary: 'do not ask' },
    detach: { kind: 'switch', summary: 'print the id and return at once' },
    cancel: {
      kind: 'switch',
      summary: 'cancel the evacuation of that site: no further moves start',
    },
    rollBack: { kind: 'switch', summary: 'with --cancel: also roll back the moves in progress' },
  },
  examples: [
    'evacuate --site s1 --to s2 --deadline 20m --dry-run',
    'evacuate --site s1 --to s2 --deadline 20m --budget 2GB --yes',
    'evacuate --site s1 --cancel',
  ],
  uses: 'controller',
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const rollSpec = spec({
  name: 'roll',
  summary: 'drain hosts in turn, and run a program of the site for each',
  details:
    'Asks a controller. For each host in turn, drains it when the others have room for all its guests, runs the ' +
    "program that has this name in the controller's configuration, waits until the host is back, and lets guests " +
    'move to it again. Stops at the first host that cannot be emptied, whose program fails or that does not come ' +
    'back. A signal detaches: the roll continues. Exits with 0 when all hosts are done, 5 if it has stopped, 6 if it ' +
    'was cancelled.',
  args: {},
  flags: {
    hosts: { kind: 'text', value: 'hosts', summary: 'the hosts in their order, such as a,b,c' },
    run: { kind: 'text', value: 'name', summary: 'the program to run for each host' },
    to: emptying.to,
    comeBack: {
      kind: 'switch',
      summary: 'move guests back to the host that they left (default: they stay)',
    },
    lastStart: {
      kind: 'text',
      value: 'time',
      summary:
        'start no host after this: a duration (4h), a time of day (18:00) or a date and time',
    },
    healthyWithin: {
      kind: 'duration',
      summary: 'how long to wait for a host after its program (default: 30m)',
    },
    maxParallel: emptying.maxParallel,
    dryRun: emptying.dryRun,
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: {
      kind: 'switch',
      summary:
        'cancel the open roll (of --hosts): no further host is started, and a running program may finish',
    },
    rollBack: emptying.rollBack,
  },
  examples: [
    'roll --hosts a,b,c --run upgrade --dry-run',
    'roll --hosts a,b,c --run upgrade --come-back --healthy-within 15m',
    'roll --cancel',
  ],
  uses: 'controller',
  json: 'roll (with --dry-run: rollPlan; with --cancel: rollCancel)',
});

export const recoverSpec = spec({
  name: 'recover',
  summary: 'start guests of dead hosts elsewhere, after proof that those hosts are off',
  details:
    'Asks a controller. Guests with the label godwit/recover=true start on a host that has kept their description, ' +
    'the highest godwit/priority first. Before a host starts a guest, its fencing hook must prove that every host ' +
    'named here is off, and every other host must report that it does not have the guest: without an answer, nothing ' +
    'is started. A description that may be out of date starts nothing either: the refusal shows its age, its disks ' +
    'and its number, and --insist with that number starts the guest anyway. A signal detaches. Exits with 0 when all ' +
    'guests run elsewhere, 5 if some do not, 6 if the recovery was cancelled.',
  args: {
    hosts: { kind: 'host', summary: 'the dead hosts', required: true, repeatable: true },
  },
  flags: {
    to: emptying.to,
    dryRun: emptying.dryRun,
    insist: {
      kind: 'text',
      value: 'guest=number',
      summary:
        'start guests from descriptions that may be out of date, each with the number that the refusal showed, such as web1=0f3c9a5e21b7d846; separated by commas',
    },
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: { kind: 'switch', summary: 'start no further guests; starts in progress continue' },
  },
  examples: [
    'recover a --dry-run',
    'recover a c --yes',
    'recover a --insist web1=0f3c9a5e21b7d846',
    'recover a --cancel',
  ],
  uses: 'controller',
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const undrainSpec = spec({
  name: 'undrain',
  summary: 'let guests move to a drained host again',
  details:
    'Asks a controller. A drain of the host in progress is cancelled; an evacuation of several hosts continues ' +
    'without this one. If the drain put the host into maintenance mode, the host leaves it. No guest moves back.',
  args: { host: { kind: 'host', summary: 'the host', required: true } },
  examples: ['undrain a'],
  uses: 'controller',
  json: 'undrain',
});

export const requestsSpec = spec({
  name: 'requests',
  summary: "list the fleet's requests with their progress",
  details:
    'Asks a controller. With an id: the waiting moves and their reasons, the guests that stay and why, and each move.',
  args: { id: { kind: 'text', summary: 'the id of a request; default: all requests' } },
  examples: ['requests', 'requests r-4f2a9c1d'],
  uses: 'controller',
  json: 'requests (with an id: request)',
});

export const limitsSpec = spec({
  name: 'limits',
  summary: 'show or set how many moves run at a time',
  details:
    'Asks a controller. `set` takes a scope and its limit: `fleet=100`, `out=4` and `in=4` for every host, `host:a ' +
    'out=2` for one, `link:a>b=1` between two; `=usual` restores a limit. Moves in progress continue.',
  args: {
    action: {
      kind: 'choice',
      choices: ['set'],
      summary: 'set a limit; without it, the limits are shown',
    },
    first: { kind: 'text', summary: 'such as fleet=100, link:a>b=1, or host:a' },
    second: { kind: 'text', summary: 'the limit for host:a, out=2 or in=2' },
  },
  examples: [
    'limits',
    'limits set fleet=100',
    'limits set host:a out=2',
    'limits set "link:a>b=1"',
  ],
  uses: 'controller',
  json: 'limits',
});

export const maintenanceSpec = spec({
  name: 'maintenance',
  summary: 'note that a host needs maintenance, or remove the note',
  details:
    'Asks a controller. The host accepts no guests while it has the note, and the health policy counts it as ' +
    'unhealthy: it proposes a drain, or drains the host. `godwit hosts` shows the note.',
  args: { host: { kind: 'host', summary: 'the host', required: true } },
  flags: {
    note: { kind: 'text', value: 'text', summary: 'the reason, up to 500 characters' },
    clear: {
      kind: 'switch',
      summary: 'remove the note; a drained host stays closed until `undrain`',
    },
  },
  examples: ["maintenance a --note 'a DIMM is replaced on Friday'", 'maintenance a --clear'],
  uses: 'controller',
  json: 'maintenance',
});
