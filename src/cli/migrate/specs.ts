import { spec } from '../verb.ts';
import { LIST, insteadOfAgents } from '../flags.ts';
import { SETTINGS } from './settings.ts';

/** The verbs that move a guest, and those that watch or end a migration. Data only: the help must not cost an import. */

export const checkSpec = spec({
  name: 'check',
  summary: 'check whether a guest could move to another host',
  details:
    'Makes every check that `godwit migrate` makes before it builds anything, with the same flags, and begins nothing. ' +
    'Exits with 0 where nothing refuses, else with the exit code of the first refusal.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: {
      kind: 'host',
      value: 'host',
      summary:
        'the host to check; any: every host that the guest’s host knows, the best first (required)',
    },
    ...SETTINGS,
  },
  examples: [
    'check web1 --to b',
    'check web1 --to any',
    'check web1 --to b --mode postcopy --json',
  ],
  usesAgent: true,
  json: 'check',
});

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

export const migrateSpec = spec({
  name: 'migrate',
  summary: 'move a running guest to another host',
  details:
    'Shows the progress until the end. A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal detaches: the migration ' +
    'goes on by itself. At a terminal Ctrl-C asks first whether to cancel, detach or watch on; a second Ctrl-C takes ' +
    'nothing back: before an answer it detaches, after a cancel it only stops watching.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: { kind: 'host', value: 'host', summary: 'the host to move it to (required)' },
    ...SETTINGS,
    detach: { kind: 'switch', summary: 'print the id and return at once' },
    rehearse: {
      kind: 'switch',
      summary:
        'do everything up to the switch with the real guest, undo it, and say what the move would have cost; the guest ' +
        'stays where it is, paused for moments, and nothing is left at the other host',
    },
    dryRun: {
      kind: 'switch',
      summary:
        'make every check, as `godwit check` does, predict as `godwit plan` does, say what would happen, and begin nothing',
    },
  },
  examples: [
    'migrate web1 --to b',
    'migrate web1 --to b --mode hybrid --max-bandwidth 1gbit --streams 4',
    'migrate web1 --to b --mode postcopy --path-address 10.1.0.12',
    'migrate web1 --to b --steering standard --max-downtime 300ms',
    'migrate web1 --to b --rehearse',
    'migrate web1 --to b --return-if-unhealthy check-web --within 10m',
    'migrate web1 --to b --window 01:00-05:00 --detach',
    'migrate web1 --to b --path wire --max-bandwidth 100mbit',
  ],
  usesAgent: true,
  json: 'report (with --detach: detached; with --dry-run: plan)',
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
    'Without --run-at it shows what both hosts report, what each answer risks, and which one is safe. ' +
    'An answer that is provably wrong is refused. If nothing proves the answer, make sure of the ' +
    'other host first, and add --yes-i-know.',
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
    controller: insteadOfAgents,
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
    controller: insteadOfAgents,
  },
  examples: ['report', 'report m-4f2a9c1d --html report.html'],
  usesAgent: true,
  json: 'report',
});
