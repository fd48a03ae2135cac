import { spec, type Flag } from './verb.ts';

/** The verbs of this folder as the user sees them. Data only: the help must not cost an import. */

/** How a list is printed. */
const LIST = {
  output: {
    kind: 'choice',
    short: 'o',
    choices: ['table', 'wide', 'json', 'yaml', 'name'],
    summary:
      'a table; wide: with more columns, and none cut; JSON or YAML, as --json; names (ids of migrations) alone',
    preset: 'table',
  },
  watch: {
    kind: 'switch',
    short: 'w',
    summary: 'list again whenever the list has changed, until Ctrl-C',
  },
  quiet: { kind: 'switch', short: 'q', summary: 'as -o name' },
  noHeaders: { kind: 'switch', summary: 'a table without its head' },
} as const satisfies Record<string, Flag>;

const controller = {
  kind: 'text',
  value: 'where',
  summary: "ask a controller instead of agents: https://host:port, or its unix socket's path",
} as const satisfies Flag;

export const hostsSpec = spec({
  name: 'hosts',
  summary: 'list the hosts that an agent knows, itself among them',
  flags: { controller, ...LIST },
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
    controller,
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

export const moveDiskSpec = spec({
  name: 'move-disk',
  summary: "move a disk of a running guest to another place of the guest's own host",
  details:
    'Shows the progress until the end. A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal detaches: the move goes on ' +
    'by itself. At a terminal Ctrl-C asks first whether to cancel, detach or watch on. `godwit guest NAME` lists the disks.',
  args: {
    guest: { kind: 'guest', summary: "the guest's name", required: true },
    disk: { kind: 'text', summary: "the disk's name", required: true },
  },
  flags: {
    to: {
      kind: 'file',
      value: 'place',
      summary:
        "a file that is not there yet, or a directory, below one of the host's `storage`, or the last part of such a " +
        "one's path (required)",
    },
    maxBandwidth: { kind: 'rate', summary: 'cap for what is copied, such as 100MiB/s' },
    keepSource: { kind: 'switch', summary: 'the old image stays, under another name' },
    detach: { kind: 'switch', summary: 'print the id and return at once' },
  },
  examples: [
    'move-disk db1 disk0 --to /srv/fast/db1/',
    'move-disk db1 disk0 --to fast --max-bandwidth 100MiB/s --keep-source',
  ],
  usesAgent: true,
  json: 'diskMove (with --detach: diskMoveId)',
});

export const watchSpec = spec({
  name: 'watch',
  summary: 'follow a migration that is under way, or the move of a disk',
  details:
    'A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal ends only the watching: the migration continues. Exits as ' +
    '`godwit migrate` does.',
  args: {
    id: { kind: 'migration', summary: "the migration's id; the newest that runs when left out" },
  },
  examples: ['watch', 'watch m-4f2a9c1d --json'],
  usesAgent: true,
  json: 'progress (one object a line, until the migration ends)',
});

export const cancelSpec = spec({
  name: 'cancel',
  summary: 'ask a migration to roll back, or a disk to stay where it was',
  details:
    'Says at once what will happen. Past the point of no return it refuses. A move of a request ' +
    '(a drain, an evacuation and so on) takes its guest out of that request: it names the request, and asks.',
  args: { id: { kind: 'migration', summary: "the migration's id", required: true } },
  flags: { yes: { kind: 'switch', summary: 'do not ask' } },
  examples: ['cancel m-4f2a9c1d', 'cancel m-4f2a9c1d --yes'],
  usesAgent: true,
  json: 'cancel',
});

export const resolveSpec = spec({
  name: 'resolve',
  summary: 'decide where the guest of a held migration is to run',
  details:
    'Without --run-at it shows what both hosts know, what each answer risks, and which one is safe. ' +
    'What is provably wrong is refused. Where nothing proves the answer, make sure of the other ' +
    'host first and say so with --yes-i-know.',
  args: { id: { kind: 'migration', summary: "the migration's id", required: true } },
  flags: {
    runAt: {
      kind: 'choice',
      choices: ['source', 'destination', 'elsewhere'],
      summary:
        'where the guest is to run; elsewhere: another host has it, and the copy at the source is ended',
    },
    confirm: {
      kind: 'guest',
      value: 'guest',
      summary: "the guest's name, where it cannot be typed at a terminal",
    },
    yesIKnow: {
      kind: 'switch',
      summary: 'you have made sure that the other host is off, or does not run the guest',
    },
  },
  examples: ['resolve m-4f2a9c1d', 'resolve m-4f2a9c1d --run-at source --confirm web1'],
  usesAgent: true,
  json: 'resolution (with --run-at: resolved)',
});

export const migrationsSpec = spec({
  name: 'migrations',
  summary: 'list migrations, newest first',
  flags: {
    limit: { kind: 'count', summary: 'at most this many, up to 1000', preset: '20' },
    guest: { kind: 'guest', value: 'name', summary: 'only those of this guest' },
    state: {
      kind: 'choice',
      choices: ['running', 'done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost'],
      summary: 'only those in this state',
    },
    since: { kind: 'duration', summary: 'only those that began within this time, such as 24h' },
    controller,
    ...LIST,
  },
  examples: [
    'migrations',
    'migrations --limit 100 --json',
    'migrations --guest web1 --state failed --since 24h',
  ],
  usesAgent: true,
  json: 'migrations (with --controller: fleetMigrations)',
});

export const reportSpec = spec({
  name: 'report',
  summary: 'show what a migration did, with measurements',
  args: { id: { kind: 'migration', summary: "the migration's id; the newest when left out" } },
  flags: {
    html: {
      kind: 'file',
      value: 'file',
      summary: 'write one self-contained page to this file (- for standard output)',
    },
    controller,
  },
  examples: ['report', 'report m-4f2a9c1d --html report.html'],
  usesAgent: true,
  json: 'report',
});

export const doctorSpec = spec({
  name: 'doctor',
  summary: 'say what this host has and lacks for migration, and how to fix it',
  flags: {
    config: {
      kind: 'file',
      value: 'file',
      summary: "the agent's configuration, to check its ports, folders and certificates",
    },
    manager: {
      kind: 'text',
      value: 'name',
      summary:
        'ask the manager that has this section of `drivers` in the configuration whether Godwit can work with it; reads only',
    },
    leftovers: {
      kind: 'switch',
      summary: 'list what earlier crashes have left on the hosts, as their agents find it',
    },
    clear: { kind: 'switch', summary: 'with --leftovers: clear what is safe to clear' },
  },
  examples: [
    'doctor',
    'doctor --json',
    'doctor --manager vsphere --config /etc/godwit/agent.json',
    'doctor --leftovers',
    'doctor --leftovers --clear',
  ],
  usesAgent: true,
  json: 'doctor (with --leftovers: leftovers)',
});

export const completionSpec = spec({
  name: 'completion',
  summary: 'print the completion script for a shell',
  details:
    'For bash: add `source <(godwit completion bash)` to ~/.bashrc. ' +
    'For zsh: add `source <(godwit completion zsh)` to ~/.zshrc, after compinit.',
  args: {
    shell: { kind: 'choice', choices: ['bash', 'zsh'], summary: 'the shell to print it for' },
  },
  flags: {
    names: {
      kind: 'choice',
      choices: ['guest', 'host', 'migration', 'context'],
      summary: 'print the names that a word can be completed to',
      hidden: true,
    },
  },
  examples: ['completion bash', 'completion zsh'],
});

export const versionSpec = spec({
  name: 'version',
  summary: 'print the versions of Godwit, its protocol and Node',
  examples: ['version --json'],
  json: 'version',
});
