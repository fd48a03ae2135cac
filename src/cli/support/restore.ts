import { execFile } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { godwitError } from '../../errors.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import { printJson } from '../context.ts';
import type { Run } from '../verb.ts';
import {
  backupManifest,
  MANIFEST,
  MAX_MANIFEST_BYTES,
  sumOf,
  type BackupManifest,
} from './backup-files.ts';
import type { restoreSpec } from './specs.ts';

const TAR_MS = 600_000;
/** Existing state of an agent or controller, which must not be mixed with a backup. */
const STATE = ['store.json', 'migrations', 'standbys', 'expected.json', 'orders', 'controller.db'];
/** Units start once these files exist, so they are restored last. */
const STARTS = /^config\/(agent|controller|relay)\.json$/;

/** Restores a backup on a host, or in directories, without state. Restores all files or none. */
export const run: Run<typeof restoreSpec> = async ({ args, json }, context) => {
  const archive = path.resolve(args.file);
  const scratch = fs.mkdtempSync(path.join(tmpdir(), 'godwit-restore-'));
  try {
    await unpack(archive, scratch);
    const manifest = await checkedManifest(archive, scratch);
    checkIsClean(manifest);
    putBack(manifest, scratch);
    const { host, madeAt, files } = manifest;
    const notes = notesOf(manifest);
    if (json) return printJson(context, { host, madeAt, files: files.length, notes });
    context.out.write(
      `Restored: ${host}, as of ${madeAt} (${files.length} files)\n${notes.map((note) => `  ${note}\n`).join('')}`,
    );
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
  }
};

function damaged(file: string, why: string, cause?: unknown): Error {
  const hint = 'Take another backup. Nothing was changed.';
  const what = `is no backup that can be restored: ${why}`;
  return godwitError('GODWIT_CONFIG', { file, what }, { hint, cause });
}

async function unpack(archive: string, scratch: string): Promise<void> {
  const argv = ['--no-same-owner', '--no-same-permissions', '-xzf', archive, '-C', scratch];
  try {
    await promisify(execFile)('tar', argv, { timeout: TAR_MS });
  } catch (cause) {
    throw damaged(archive, 'tar cannot unpack it', cause);
  }
}

/** GODWIT_CONFIG if a file is missing or damaged. */
async function checkedManifest(archive: string, scratch: string): Promise<BackupManifest> {
  const file = path.join(scratch, MANIFEST);
  const size = fs.lstatSync(file, { throwIfNoEntry: false })?.size ?? Infinity;
  if (size > MAX_MANIFEST_BYTES) throw damaged(archive, `it has no ${MANIFEST}`);
  let manifest: BackupManifest;
  try {
    manifest = backupManifest.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
  } catch (cause) {
    throw damaged(archive, `its ${MANIFEST} cannot be read`, cause);
  }
  for (const { name, sha256 } of manifest.files) {
    const copy = path.join(scratch, name);
    if (fs.lstatSync(copy, { throwIfNoEntry: false })?.isFile() !== true)
      throw damaged(archive, `${name} is missing`);
    if ((await sumOf(copy)) !== sha256) throw damaged(archive, `${name} has another checksum`);
  }
  return manifest;
}

/** GODWIT_CONFIG if this host has a configuration, certificates or state. Directories of running guests are allowed. */
function checkIsClean({ files, stateDirs }: BackupManifest): void {
  const state = stateDirs.flatMap((each) => STATE.map((name) => path.join(each, name)));
  const found = [...files.map(({ place }) => place), ...state].filter((each) =>
    fs.existsSync(each),
  );
  const [first] = found;
  if (first === undefined) return;
  const others = found.length === 1 ? '' : ` (and ${found.length - 1} more)`;
  const hint =
    'Stop the agent and the controller, and move their configuration and state away. Leave `guests` and `containers`: running guests use them.';
  const what = `is there already${others}: a backup is restored to a clean host`;
  throw godwitError('GODWIT_CONFIG', { file: first, what }, { hint });
}

function putBack({ files, directories }: BackupManifest, scratch: string): void {
  const made: string[] = [];
  try {
    for (const { place, ...owner } of directories) {
      if (fs.existsSync(place)) continue;
      fs.mkdirSync(place, { recursive: true });
      made.push(place);
      give(place, owner);
    }
    const [last, first] = [files.filter(isStart), files.filter((each) => !isStart(each))];
    for (const { name, place, ...owner } of [...first, ...last]) {
      fs.copyFileSync(path.join(scratch, name), place, fs.constants.COPYFILE_EXCL);
      made.push(place);
      give(place, owner);
      const written = fs.openSync(place, 'r');
      fs.fsyncSync(written);
      fs.closeSync(written);
    }
    for (const each of new Set(files.map(({ place }) => path.dirname(place)))) syncDirectory(each);
  } catch (cause) {
    for (const each of made.toReversed()) fs.rmSync(each, { recursive: true, force: true });
    const why = (cause as Error).message;
    throw godwitError(
      'GODWIT_CONFIG',
      { file: 'the backup', what: `was not restored: ${why}` },
      { cause },
    );
  }
}

const isStart = ({ name }: BackupManifest['files'][number]): boolean => STARTS.test(name);

interface Ownership {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

function give(place: string, { mode, uid, gid }: Ownership): void {
  if (process.getuid?.() === 0) fs.chownSync(place, uid, gid);
  fs.chmodSync(place, mode);
}

function notesOf({ files }: BackupManifest): string[] {
  const has = (name: string): boolean => files.some((each) => each.name === `config/${name}.json`);
  const hasCa = files.some(({ name }) => name.endsWith('/ca.key'));
  return [
    ...(has('agent')
      ? [
          'Start the agent: systemctl start godwit-agent. It finds the guests that run here; of migrations from before it knows nothing, and starts no guest for them.',
          'If its certificate was renewed after the backup, other hosts refuse this one: move pki/host.crt and pki/host.key away, and let the host join again.',
        ]
      : []),
    ...(hasCa
      ? [
          "It has the CA: start its agent before you sign anything, so that it takes the fleet's newest list.",
        ]
      : []),
    ...(has('controller')
      ? [
          'Start the controller: systemctl start godwit-controller. Open requests of the backup continue: look at `godwit requests` at once.',
        ]
      : []),
  ];
}
