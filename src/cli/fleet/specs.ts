import { spec, type Flag } from '../verb.ts';
import { controller } from '../flags.ts';

/** The verbs that maintain hosts of a fleet. Data only: the help must not cost an import. */

/** Of the verbs that empty hosts. */
export const emptying = {
  to: {
    kind: 'text',
    value: 'hosts',
    summary: 'where guests may go, such as b,c (default: anywhere)',
  },
  maxParallel: { kind: 'count', summary: 'moves at a time, at most' },
  dryRun: { kind: 'switch', summary: 'show the plan and change nothing' },
  yes: { kind: 'switch', summary: 'do not ask' },
  detach: { kind: 'switch', summary: 'print the id and return at once' },
  rollBack: { kind: 'switch', summary: 'with --cancel: roll moves that are under way back, too' },
} as const satisfies Readonly<Record<string, Flag>>;

export const drainSpec = spec({
  name: 'drain',
  summary: 'empty a host: every guest of it moves elsewhere',
  details:
    'Asks a controller. Shows the plan with its predicted end and what stays, asks, and follows the drain until the host is ' +
    'empty or nothing more can be done. No guest comes to the host any more until `godwit undrain`. A signal detaches: the ' +
    'drain goes on. A host of a manager enters maintenance mode, where the manager has one: the plan says whether Godwit or ' +
    'the manager moves its guests. Exits with 0 once no guest is there, with 5 where some stay, with 6 where it was cancelled.',
  args: { host: { kind: 'host', summary: 'the host to empty', required: true } },
  flags: {
    to: emptying.to,
    deadline: {
      kind: 'duration',
      summary: 'when the host must be empty, from now; a plan that ends later is refused',
    },
    maxParallel: emptying.maxParallel,
    notice: {
      kind: 'duration',
      summary:
        'notify the owner of each guest this long ahead of its move, 1s to 1h; if its label godwit/notice asks for longer, that counts',
    },
    cold: {
      kind: 'switch',
      summary:
        'guests that cannot move live are shut down and started where they go, in their window',
    },
    stopped: {
      kind: 'switch',
      summary: 'guests that are off leave, too, where the manager of the host moves them',
    },
    dryRun: emptying.dryRun,
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: { kind: 'switch', summary: 'cancel the drain of that host: nothing more begins' },
    rollBack: emptying.rollBack,
    controller,
  },
  examples: [
    'drain a --dry-run',
    'drain a --to b,c --deadline 30m',
    'drain a --yes --detach',
    'drain a --cancel',
  ],
  usesAgent: true,
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const evacuateSpec = spec({
  name: 'evacuate',
  summary: 'empty a site by a deadline, the most important guests first',
  details:
    'Asks a controller whose configuration has the line between both sites. Guests go by their label godwit/priority. Shows ' +
    'which ones are over in time and how (pre-copy, post-copy, a pause), what they send and what that costs, and names those ' +
    'that are left with the reason; asks, and follows. It is planned again as it goes: nothing begins that would end after the ' +
    'deadline or exceed the budget. A signal detaches. Exits with 0 once no guest is at the site, with 5 where some are left, ' +
    'with 6 where it was cancelled.',
  args: {},
  flags: {
    site: { kind: 'text', value: 'site', summary: 'the site to empty (required)' },
    to: { kind: 'text', value: 'site', summary: 'the site that guests go to' },
    deadline: { kind: 'duration', summary: 'when they must be over, from now' },
    budget: { kind: 'bytes', summary: 'what all moves together may send, such as 2GB' },
    maxPause: {
      kind: 'duration',
      summary:
        'how long a guest may be paused if it cannot move otherwise, 60s at most (default: not at all)',
    },
    maxParallel: { kind: 'count', summary: 'moves at a time, at most' },
    dryRun: { kind: 'switch', summary: 'show the plan and change nothing' },
    yes: { kind: 'switch', summary: 'do not ask' },
    detach: { kind: 'switch', summary: 'print the id and return at once' },
    cancel: { kind: 'switch', summary: 'cancel the evacuation of that site: nothing more begins' },
    rollBack: { kind: 'switch', summary: 'with --cancel: roll moves that are under way back, too' },
    controller,
  },
  examples: [
    'evacuate --site s1 --to s2 --deadline 20m --dry-run',
    'evacuate --site s1 --to s2 --deadline 20m --budget 2GB --yes',
    'evacuate --site s1 --cancel',
  ],
  usesAgent: true,
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const rollSpec = spec({
  name: 'roll',
  summary: "drain hosts in turn, and run the site's own program for each",
  details:
    'Asks a controller. For each host in turn: drains it once the others have room for all of its guests, runs the program ' +
    'that the configuration of the controller has under that name, waits until the host is back, lets guests come to it again, ' +
    'and goes on with the next one. Stops at the first host that cannot be emptied, whose program fails or that does not come ' +
    'back. A signal detaches: the roll goes on. Exits with 0 once all are done, with 5 where it has stopped, with 6 where it ' +
    'was cancelled.',
  args: {},
  flags: {
    hosts: { kind: 'text', value: 'hosts', summary: 'the hosts in their order, such as a,b,c' },
    run: { kind: 'text', value: 'name', summary: 'the program that is run for each host' },
    to: emptying.to,
    comeBack: {
      kind: 'switch',
      summary: 'bring guests that left a host back to it (default: they stay)',
    },
    deadline: { kind: 'duration', summary: 'begin no host later than that, from now' },
    healthyWithin: {
      kind: 'duration',
      summary: 'how long a host is waited for after its program (default: 30m)',
    },
    maxParallel: emptying.maxParallel,
    dryRun: emptying.dryRun,
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: {
      kind: 'switch',
      summary:
        'cancel the open roll (of --hosts): nothing more begins, a program that runs is waited for',
    },
    rollBack: emptying.rollBack,
    controller,
  },
  examples: [
    'roll --hosts a,b,c --run upgrade --dry-run',
    'roll --hosts a,b,c --run upgrade --come-back --healthy-within 15m',
    'roll --cancel',
  ],
  usesAgent: true,
  json: 'roll (with --dry-run: rollPlan; with --cancel: rollCancel)',
});

export const recoverSpec = spec({
  name: 'recover',
  summary: 'start guests of dead hosts elsewhere, once those are proved off',
  details:
    'Asks a controller. Guests with the label godwit/recover=true start on a host that kept what starts them while their own ' +
    'host lived, the greatest godwit/priority first. Before that host starts one, its fencing hook proves that every host named ' +
    'here is off, and every other host answers that it does not have the guest: silence starts nothing. A description that may be out of date starts nothing either: the refusal shows its age, its disks and its number, by which --insist starts the guest all the same. A signal detaches. Exits with 0 once all run elsewhere, with 5 where some do not, with 6 where cancelled.',
  args: {
    hosts: { kind: 'host', summary: 'the hosts that are dead', required: true, repeatable: true },
  },
  flags: {
    to: emptying.to,
    dryRun: emptying.dryRun,
    insist: {
      kind: 'text',
      value: 'guest=number',
      summary:
        'start guests from descriptions that may be out of date, each by the number that the refusal showed, such as web1=0f3c9a5e21b7d846; separated by commas',
    },
    yes: emptying.yes,
    detach: emptying.detach,
    cancel: { kind: 'switch', summary: 'start no more of their guests; what has begun goes on' },
    controller,
  },
  examples: [
    'recover a --dry-run',
    'recover a c --yes',
    'recover a --insist web1=0f3c9a5e21b7d846',
    'recover a --cancel',
  ],
  usesAgent: true,
  json: 'drain (with --dry-run: drainPlan; with --cancel: drainCancel)',
});

export const undrainSpec = spec({
  name: 'undrain',
  summary: 'let guests come to a drained host again',
  details:
    'Asks a controller. A drain of the host that is under way is cancelled; an evacuation of several hosts goes on without ' +
    'this one. A host that its drain has put into maintenance mode leaves it. No guest moves back.',
  args: { host: { kind: 'host', summary: 'the host', required: true } },
  flags: { controller },
  examples: ['undrain a'],
  usesAgent: true,
  json: 'undrain',
});

export const wishesSpec = spec({
  name: 'wishes',
  summary: 'what was asked of the fleet, and how far each of it is',
  details:
    'Asks a controller. With an id: what waits and for what, what stays and why, and each move.',
  args: { id: { kind: 'text', summary: "a wish's id; all of them when left out" } },
  flags: { controller },
  examples: ['wishes', 'wishes w-4f2a9c1d'],
  usesAgent: true,
  json: 'wishes (with an id: wish)',
});

export const limitsSpec = spec({
  name: 'limits',
  summary: 'show or set how many moves run at a time',
  details:
    'Asks a controller. `set` takes what is limited, and to how much: `fleet=100`, `out=4` and `in=4` for every host, ' +
    '`host:a out=2` for one, `link:a>b=1` between two; `=usual` takes a limit back. Moves under way go on.',
  args: {
    action: { kind: 'choice', choices: ['set'], summary: 'set a limit; without it they are shown' },
    first: { kind: 'text', summary: 'such as fleet=100, link:a>b=1, or host:a' },
    second: { kind: 'text', summary: 'of host:a: out=2 or in=2' },
  },
  flags: { controller },
  examples: [
    'limits',
    'limits set fleet=100',
    'limits set host:a out=2',
    'limits set "link:a>b=1"',
  ],
  usesAgent: true,
  json: 'limits',
});

export const maintenanceSpec = spec({
  name: 'maintenance',
  summary: 'note that a host needs care, or take the note away',
  details:
    'Asks a controller. No guest comes to the host while the note is there, and the health policy counts it as ill: it ' +
    'proposes a drain, or drains it. `godwit hosts` shows the note.',
  args: { host: { kind: 'host', summary: 'the host', required: true } },
  flags: {
    note: { kind: 'text', value: 'text', summary: 'why, in up to 500 characters' },
    clear: {
      kind: 'switch',
      summary: 'take the note away; a drained host stays closed until `undrain`',
    },
    controller,
  },
  examples: ["maintenance a --note 'a DIMM is replaced on Friday'", 'maintenance a --clear'],
  usesAgent: true,
  json: 'maintenance',
});
