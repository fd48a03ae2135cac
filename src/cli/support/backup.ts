import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { godwitError } from '../../errors.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import { PRODUCT_VERSION } from '../../protocol/version.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import { renameSynced } from '../../system/files/whole-file.ts';
import { printJson } from '../context.ts';
import type { Run } from '../verb.ts';
import {
  DATABASE,
  filesOf,
  MANIFEST,
  planBackup,
  sumOf,
  type BackupManifest,
  type BackupPlan,
  type BackupSource,
} from './backup-files.ts';
import { CONFIG_DIR } from './collect.ts';
import type { backupSpec } from './specs.ts';

const TAR_MS = 600_000;
/** Related files may change during the copy; an agent writes them at most every 10 s. */
const TRIES = 5;

/** Archives this host's configuration, certificates and database. Agents and controllers keep running. */
export const run: Run<typeof backupSpec> = async ({ args, flags, json }, context) => {
  const plan = planBackup(path.resolve(flags.configDir ?? CONFIG_DIR));
  const madeAt = new Date(context.clock.wallMs()).toISOString();
  const file = path.resolve(
    args.file ?? `godwit-backup-${hostname()}-${madeAt.slice(0, 10)}.tar.gz`,
  );
  checkTarget(file);
  const scratch = fs.mkdtempSync(path.join(path.dirname(file), '.godwit-backup-'));
  try {
    const manifest = await copyAll(plan, scratch, madeAt).catch((thrown: unknown) => {
      throw unreadable(thrown) ?? thrown;
    });
    await pack(scratch, file);
    const bytes = fs.statSync(file).size;
    const notes = [...plan.notes, ...ADVICE];
    if (json) printJson(context, { file, bytes, files: manifest.files.length, notes });
    else
      context.out.write(
        `Written: ${file} (${formatBytes(bytes)}, ${manifest.files.length} files)\n${notes.map((note) => `  ${note}\n`).join('')}`,
      );
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
};

/** GODWIT_USAGE if the archive cannot be written there. */
function checkTarget(file: string): void {
  const hint = 'Name a new file in a directory that you may write to: `godwit backup FILE`.';
  const wrong = (what: string): Error => godwitError('GODWIT_USAGE', { what }, { hint });
  if (fs.existsSync(file)) throw wrong(`${file} is there already`);
  try {
    fs.accessSync(path.dirname(file), fs.constants.W_OK);
  } catch (cause) {
    throw wrong(`${path.dirname(file)}: ${(cause as Error).message}`);
  }
}

function unreadable(thrown: unknown): Error | undefined {
  const { code, path: file = 'a file' } = thrown as NodeJS.ErrnoException;
  if (code !== 'EACCES' && code !== 'EPERM') return undefined;
  const hint = 'Run it as root.';
  return godwitError('GODWIT_CONFIG', { file, what: 'cannot be read by this user' }, { hint });
}

const ADVICE = [
  'It holds keys and passwords: keep it where only administrators can read it.',
  'Journals of migrations, caches, and the disks and memory of guests are not in it.',
];

async function copyAll(
  { host, sources, stateDirs, database }: BackupPlan,
  scratch: string,
  madeAt: string,
): Promise<BackupManifest> {
  const files: BackupManifest['files'] = [];
  const directories = new Map<string, BackupManifest['directories'][number]>();
  const addDirectory = (place: string): void => {
    if (!directories.has(place)) directories.set(place, { place, ...ownership(place) });
  };
  for (const source of sources) {
    addDirectory(source.directory);
    for (const name of copySource(source, scratch)) {
      const place = path.join(source.directory, name);
      const parts = path.dirname(name).split('/');
      if (parts[0] !== '.')
        parts.forEach((_, at) =>
          addDirectory(path.join(source.directory, ...parts.slice(0, at + 1))),
        );
      const inArchive = path.join(source.name, name);
      const sha256 = await sumOf(path.join(scratch, inArchive));
      files.push({ name: inArchive, place, ...ownership(place), sha256 });
    }
  }
  if (database !== undefined) {
    const copy = path.join(scratch, DATABASE);
    fs.mkdirSync(path.dirname(copy), { recursive: true });
    const open = new DatabaseSync(database.file, { readOnly: true });
    await backup(open, copy).finally(() => open.close());
    addDirectory(path.dirname(database.file));
    const kept = { name: DATABASE, place: database.file, ...ownership(database.file) };
    files.push({ ...kept, sha256: await sumOf(copy) });
  }
  const manifest: BackupManifest = {
    format: 1,
    version: PRODUCT_VERSION,
    madeAt,
    host,
    stateDirs: [...stateDirs],
    directories: [...directories.values()],
    files,
  };
  fs.writeFileSync(path.join(scratch, MANIFEST), JSON.stringify(manifest, null, 1));
  return manifest;
}

function copySource(source: BackupSource, scratch: string): string[] {
  for (let tried = 1; ; tried += 1) {
    const names = filesOf(source);
    const before = marksOf(source, names);
    for (const name of names) {
      const to = path.join(scratch, source.name, name);
      fs.mkdirSync(path.dirname(to), { recursive: true });
      fs.copyFileSync(path.join(source.directory, name), to);
    }
    if (marksOf(source, filesOf(source)) === before) return names;
    if (tried === TRIES) {
      const what = 'changes all the time';
      const hint = 'Try again when no host joins and no certificate is issued.';
      throw godwitError('GODWIT_CONFIG', { file: source.directory, what }, { hint });
    }
    fs.rmSync(path.join(scratch, source.name), { recursive: true, force: true });
  }
}

function marksOf({ directory }: BackupSource, names: readonly string[]): string {
  return names
    .map((name) => {
      const stat = fs.statSync(path.join(directory, name), { bigint: true, throwIfNoEntry: false });
      return stat === undefined ? name : `${name} ${stat.ino} ${stat.ctimeNs} ${stat.size}`;
    })
    .join('\n');
}

function ownership(place: string): { mode: number; uid: number; gid: number } {
  const { mode, uid, gid } = fs.statSync(place);
  return { mode: mode & 0o777, uid, gid };
}

/** Atomic, readable only by its owner. */
async function pack(scratch: string, file: string): Promise<void> {
  const temporary = path.join(path.dirname(scratch), `${path.basename(scratch)}.tar.gz`);
  try {
    fs.closeSync(fs.openSync(temporary, 'wx', 0o600));
    const names = fs.readdirSync(scratch).filter((name) => name !== MANIFEST);
    const argv = ['--format=gnu', '-czf', temporary, '-C', scratch, MANIFEST, ...names];
    await promisify(execFile)('tar', argv, { timeout: TAR_MS });
    const written = fs.openSync(temporary, 'r');
    fs.fsyncSync(written);
    fs.closeSync(written);
    renameSynced(temporary, file);
    syncDirectory(path.dirname(file));
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}
