import { spec, type Flag } from '../verb.ts';

/** Verbs for a host in trouble. Data only: the help must not cost an import. */

const configDir = {
  kind: 'file',
  value: 'directory',
  summary: 'the directory of the configurations (default: /etc/godwit)',
} as const satisfies Flag;

export const supportBundleSpec = spec({
  name: 'support-bundle',
  summary: "collect this host's versions, checks, logs and reports in one file for a defect report",
  details:
    'Shows the parts, and writes the file after a confirmation; answer `show` to read it first. Keys, passwords and ' +
    'tokens are removed; names and addresses of hosts and guests are not. At most 4 MiB. Sends nothing.',
  args: {
    file: {
      kind: 'file',
      summary: 'the file to write (default: godwit-support-HOST-DATE.txt here)',
    },
  },
  flags: {
    show: { kind: 'switch', summary: 'print the whole text, and write nothing' },
    yes: { kind: 'switch', summary: 'write it without a confirmation' },
    configDir,
  },
  examples: ['support-bundle', 'support-bundle --show', 'support-bundle web1.txt --yes'],
  usesAgent: true,
  json: 'supportBundle',
});

export const backupSpec = spec({
  name: 'backup',
  summary:
    "write this host's configuration, certificates, CA and controller database to one archive",
  details:
    'Agent and controller keep running. Journals of migrations are left out, so that a restored host never acts on an ' +
    'old right to run a guest; so are caches and the disks of guests. A PostgreSQL database is backed up with its own ' +
    'tools. The archive holds keys: it is readable for its owner alone.',
  args: {
    file: {
      kind: 'file',
      summary: 'the archive to write (default: godwit-backup-HOST-DATE.tar.gz here)',
    },
  },
  flags: { configDir },
  examples: ['backup', 'backup /srv/backup/a.tar.gz'],
  json: 'backup',
});

export const restoreSpec = spec({
  name: 'restore',
  summary: 'restore an archive of `godwit backup` on a host without configuration and state',
  details:
    'Checks every file first, and restores all files or none. Refuses if the host already has a configuration or ' +
    'state. Guests may keep running. A restored agent finds the running guests of its host, and continues no ' +
    'migration from before.',
  args: { file: { kind: 'file', summary: 'the archive', required: true } },
  examples: ['restore /srv/backup/a.tar.gz'],
  json: 'restored',
});
