import { randomUUID } from 'node:crypto';
import { access, chown, constants, mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { removeTree } from '../../../system/files/remove-tree.ts';
import { killProcess } from '../guest/process.ts';
import { findSwtpm } from '../guest/tpm.ts';
import { logEnd } from '../process/launch.ts';
import { TPM_LOG } from '../spec/names.ts';
import type { TpmSpec } from '../spec/tpm-schema.ts';
import { openAbove } from '../user/access.ts';
import type { RunAs } from '../user/confine.ts';
import { initTpm, startSwtpm } from './start.ts';

const PROBE_MS = 8000;
const END_MS = 2000;
const MAX_REASON = 300;
const LEVELS_ABOVE_STATE = 2;

/** Configured swtpm, or the first on the PATH. Undefined if there is none. */
export async function swtpmProgram(configured: string | undefined): Promise<string | undefined> {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((dir) => dir !== '');
  const files =
    configured === undefined ? folders.map((dir) => path.join(dir, 'swtpm')) : [configured];
  for (const file of files) {
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}

interface Trial {
  readonly host: string;
  readonly program: string;
  readonly keyFile?: string | undefined;
  readonly within: string;
  readonly as?: RunAs | undefined;
}

/** Starts a new TPM of that kind and ends it. Throws GODWIT_HOST_LACKS with swtpm's last output if it fails. */
export async function trySwtpm(tpm: TpmSpec, trial: Trial, signal: AbortSignal): Promise<void> {
  const { host, program, keyFile, within, as } = trial;
  const directory = path.join(within, `.trial-${randomUUID().slice(0, 8)}`);
  const socket = path.join(directory, 's');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  try {
    if (as !== undefined) await chown(directory, as.uid, as.gid);
    const site = { host, program, stateDir: directory, socket, directory, keyFile, as };
    await withDeadline('the trial of swtpm', PROBE_MS, signal, async (inner) => {
      await startSwtpm(tpm, site, inner);
      await initTpm(socket, inner, as?.uid ?? process.geteuid?.() ?? 0);
    });
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    const log = logEnd(path.join(directory, TPM_LOG), 2);
    const what = `a swtpm that works (${program}: ${`${why}${log === '' ? '' : `; ${log}`}`.slice(0, MAX_REASON)})`;
    const hint = 'Start it there by hand, and see what it says; or install another one.';
    throw godwitError('GODWIT_HOST_LACKS', { what }, { hint, cause });
  } finally {
    const left = await findSwtpm(socket);
    if (left !== undefined) await killProcess(left, END_MS, AbortSignal.timeout(END_MS));
    await removeTree(directory);
  }
}

/** File of a guest's passphrase. Throws GODWIT_HOST_LACKS if others could read it. Undefined if it has none here. */
export async function keyFileOf(
  keyDir: string | undefined,
  guest: string,
): Promise<string | undefined> {
  if (keyDir === undefined) return undefined;
  const file = path.join(keyDir, guest);
  const info = await stat(file).catch(() => undefined);
  if (info === undefined) return undefined;
  if (info.isFile() && (info.mode & 0o077) === 0) return file;
  const what = `a passphrase for the guest’s TPM that nobody else can read (${file})`;
  throw godwitError('GODWIT_HOST_LACKS', { what }, { hint: `chmod 600 ${file}` });
}

/** Creates the parent of the TPM directories, which others can traverse but not list. */
export async function makeTpmsDir(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o711 });
  await openAbove(directory, LEVELS_ABOVE_STATE);
}
