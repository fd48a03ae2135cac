import { spec } from '../verb.ts';
import { LIST } from '../flags.ts';
import { SETTINGS } from './settings.ts';

/** Verbs that move a guest, and that watch or end a migration. Data only: the help must not cost an import. */

export const migrateSpec = spec({
  name: 'migrate',
  summary: 'move a running guest to another host, or preview the move',
  details:
    'A dry run makes every check, measures the guest and the link for a few seconds without stopping the guest, and ' +
    'predicts the cost. It changes nothing. It exits with 0 if no check refuses, otherwise with the exit code of the ' +
    'first refusal. A migration shows the progress until the end. A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal detaches: the ' +
    'migration continues by itself. At a terminal, Ctrl-C first asks whether to cancel, detach or continue watching. ' +
    'A second Ctrl-C detaches if the question is open; after a cancel, it only stops watching.',
  args: { guest: { kind: 'guest', summary: "the guest's name", required: true } },
  flags: {
    to: {
      kind: 'host',
      value: 'host',
      summary:
        "the destination host (required). With --dry-run, any: check every host that the guest's host can reach, best first",
    },
    dryRun: { kind: 'switch', summary: 'show the checks and the predicted cost; change nothing' },
    compare: {
      kind: 'switch',
      summary: 'with --dry-run: compare other modes and numbers of streams side by side',
    },
    rehearse: {
      kind: 'switch',
      summary:
        'do everything up to the switchover with the real guest, undo it, and report the cost of a move; the guest pauses briefly and stays',
    },
    detach: { kind: 'switch', summary: 'print the id and return at once' },
    ...SETTINGS,
  },
  examples: [
    'migrate web1 --to b --dry-run',
    'migrate web1 --to any --dry-run',
    'migrate web1 --to b',
    'migrate web1 --to b --mode hybrid --max-bandwidth 1gbit --streams 4',
    'migrate web1 --to b --mode postcopy --path-address 10.1.0.12',
    'migrate web1 --to b --steering standard --max-downtime 300ms',
    'migrate web1 --to b --rehearse',
    'migrate web1 --to b --return-if-unhealthy check-web --return-within 10m',
    'migrate web1 --to b --window 01:00-05:00 --detach',
    'migrate web1 --to b --path wire --max-bandwidth 100mbit',
  ],
  uses: 'agent',
  json: 'report (with --detach: detached, with --dry-run: plan, with --to any: check)',
});

export const moveDiskSpec = spec({
  name: 'move-disk',
  summary: 'move a disk of a running guest to another place on the same host',
  details:
    'Shows the progress until the end. A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal detaches: the move ' +
    'continues by itself. At a terminal, Ctrl-C first asks whether to cancel, detach or continue watching. ' +
    '`godwit guest NAME` lists the disks.',
  args: {
    guest: { kind: 'guest', summary: "the guest's name", required: true },
    disk: { kind: 'text', summary: "the disk's name", required: true },
  },
  flags: {
    to: {
      kind: 'file',
      value: 'place',
      summary:
        "a new file, or a directory, in one of the host's `storage` directories, or the last part of the path of such a directory (required)",
    },
    maxBandwidth: { kind: 'rate', summary: 'maximum copy rate, such as 100MiB/s' },
    keepSource: { kind: 'switch', summary: 'keep the old image under another name' },
    detach: { kind: 'switch', summary: 'print the id and return at once' },
  },
  examples: [
    'move-disk db1 disk0 --to /srv/fast/db1/',
    'move-disk db1 disk0 --to fast --max-bandwidth 100MiB/s --keep-source',
  ],
  uses: 'agent',
  json: 'diskMove (with --detach: diskMoveId)',
});

export const watchSpec = spec({
  name: 'watch',
  summary: 'follow a migration, a request, or the move of a disk',
  details:
    'A signal (Ctrl-C, SIGTERM, SIGHUP) or a closed terminal ends only the watching: the migration continues. Has ' +
    'the exit codes of `godwit migrate`.',
  args: {
    target: {
      kind: 'migration',
      summary:
        'an id, or the name of a guest whose migration is running; default: the newest running migration',
    },
  },
  examples: ['watch', 'watch web1', 'watch m-4f2a9c1d --json', 'watch r-4f2a9c1d'],
  uses: 'agent',
  json: 'progress (one object a line, until the migration ends; of a request: drain, at its end)',
});

export const cancelSpec = spec({
  name: 'cancel',
  summary: 'cancel a migration, a request, or the move of a disk',
  details:
    'Reports at once what will happen. Past the point of no return, it is refused. If the migration belongs to a ' +
    'request (such as a drain or an evacuation), its guest is removed from that request: the command names the ' +
    'request, and asks.',
  args: {
    target: {
      kind: 'migration',
      summary: 'an id, or the name of a guest whose migration is running',
      required: true,
    },
  },
  flags: {
    yes: { kind: 'switch', summary: 'do not ask' },
    rollBack: { kind: 'switch', summary: 'of a request: also roll back the moves in progress' },
  },
  examples: ['cancel web1', 'cancel m-4f2a9c1d --yes', 'cancel r-4f2a9c1d --roll-back'],
  uses: 'agent',
  json: 'cancel (of a request: drainCancel)',
});

export const resolveSpec = spec({
  name: 'resolve',
  summary: 'decide where the guest of a held migration runs',
  details:
    'Without --run-at, shows the reports of both hosts, the risk of each answer, and the safe answer. An answer that ' +
    'is provably wrong is refused. If nothing proves the answer, make sure of the other host first, and add ' +
    '--yes-i-know.',
  args: { id: { kind: 'migration', summary: "the migration's id", required: true } },
  flags: {
    runAt: {
      kind: 'choice',
      choices: ['source', 'destination', 'elsewhere'],
      summary:
        "where the guest is to run; elsewhere: another host has it, and the source's copy is removed",
    },
    confirm: {
      kind: 'guest',
      value: 'guest',
      summary: "the guest's name, if it cannot be typed at a terminal",
    },
    yesIKnow: {
      kind: 'switch',
      summary: 'confirm that the other host is off, or does not run the guest',
    },
  },
  examples: ['resolve m-4f2a9c1d', 'resolve m-4f2a9c1d --run-at source --confirm web1'],
  uses: 'agent',
  json: 'resolution (with --run-at: resolved)',
});

export const migrationsSpec = spec({
  name: 'migrations',
  summary: 'list migrations, newest first',
  flags: {
    limit: { kind: 'count', summary: 'the number of entries to show, up to 1000', preset: '20' },
    guest: { kind: 'guest', value: 'name', summary: 'only migrations of this guest' },
    state: {
      kind: 'choice',
      choices: ['running', 'done', 'rehearsed', 'failed', 'cancelled', 'held', 'lost'],
      summary: 'only migrations in this state',
    },
    since: {
      kind: 'duration',
      summary: 'only migrations that began within this time, such as 24h',
    },
    ...LIST,
  },
  examples: [
    'migrations',
    'migrations --limit 100 --json',
    'migrations --guest web1 --state failed --since 24h',
  ],
  uses: 'agent',
  json: 'migrations (with --controller: fleetMigrations)',
});

export const reportSpec = spec({
  name: 'report',
  summary: "show a migration's report, with measurements",
  args: { id: { kind: 'migration', summary: "the migration's id; default: the newest" } },
  flags: {
    html: {
      kind: 'file',
      value: 'file',
      summary: 'write a self-contained page to this file (- for standard output)',
    },
  },
  examples: ['report', 'report m-4f2a9c1d --html report.html'],
  uses: 'agent',
  json: 'report',
});
