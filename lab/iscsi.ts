import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { cacheDirectory } from '../src/system/files/cache-directory.ts';
import { isAlive, type ProcessIdentity } from '../src/system/processes/process.ts';
import { runCommand } from './command.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { STORAGE_SERVER } from './plan.ts';
import { startDetached } from './processes.ts';
import type { Lab } from './state.ts';

/** The lab's iSCSI target: a real one (tgt), of which each guest's disk is a LUN. */

const START_MS = 10_000;
/** LUNs of one target; 0 is the target's own. */
const MAX_LUNS = 255;
/** A daemon has one target. */
const TARGET_ID = '1';
const PORT = 3260;

/** Where setup puts what it is made of. */
function home(): string {
  return path.join(cacheDirectory(), 'iscsi');
}

export function iscsiPrograms(): string[] {
  return ['tgtd', 'tgtadm'].map(programOf);
}

function programOf(name: string): string {
  return path.join(home(), 'usr/sbin', name);
}

/** The lab's target as hosts name it in their `storage`. */
export const LAB_IQN = 'iqn.2026-01.lab:vm';
export const LAB_ISCSI_URL = `iscsi://${STORAGE_SERVER}:${PORT}/${LAB_IQN}`;

/** The name under which a host of the lab logs in. */
export function initiatorOf(host: string): string {
  return `iqn.2026-01.lab:host-${host}`;
}

/** One daemon; `member` is the lab's namespace that it is in, and `dir` is where its socket and log are. */
export interface TargetPlace {
  readonly member: string;
  readonly address: string;
  readonly port: number;
  readonly dir: string;
}

export function targetPlace(lab: Pick<Lab, 'dir'>): TargetPlace {
  const dir = path.join(lab.dir, 'iscsi');
  return { member: 'iscsi', address: STORAGE_SERVER, port: PORT, dir };
}

/** What a daemon and the tool that speaks with it have to know. */
function wordsFor(place: TargetPlace, program: string, words: readonly string[]): string[] {
  const libraries = ['usr/lib', 'lib'].map((part) => path.join(home(), part, 'x86_64-linux-gnu'));
  const marks = [
    `LD_LIBRARY_PATH=${libraries.join(':')}`,
    `TGT_IPC_SOCKET=${path.join(place.dir, 'tgt.sock')}`,
  ];
  return ['env', ...marks, programOf(program), ...words];
}

/** Of a daemon, as its administrator. */
export async function askTarget(place: TargetPlace, ...words: string[]): Promise<string> {
  return runCommand(wordsFor(place, 'tgtadm', ['--lld', 'iscsi', ...words]));
}

/** Starts a daemon and waits until it answers. It ends as all processes in the lab's namespaces do. */
export async function startTarget(
  lab: Lab,
  place: TargetPlace,
  signal?: AbortSignal,
): Promise<ProcessIdentity> {
  const log = path.join(place.dir, 'tgtd.log');
  await mkdir(place.dir, { recursive: true, mode: 0o700 });
  const portal = `portal=${place.address}:${place.port}`;
  const words = wordsFor(place, 'tgtd', ['-f', '--iscsi', portal]);
  const started = await startDetached(inHost(lab, place.member, words), {
    logFile: log,
    env: labEnvironment(lab),
  });
  await withDeadline('the iSCSI target', START_MS, signal, async (inner) => {
    const answers = (): Promise<boolean> =>
      askTarget(place, '--op', 'show', '--mode', 'sys').then(
        () => true,
        () => false,
      );
    while (!(await answers())) {
      if (!isAlive(started)) {
        throw godwitError('GODWIT_LAB', { what: `the iSCSI target ended at once: see ${log}` });
      }
      await systemClock.sleep(25, inner);
    }
  });
  return started;
}

/** Makes a target of `iqn` with no LUN, to which every initiator may log in. */
export async function addTarget(place: TargetPlace, iqn: string): Promise<void> {
  const own = ['--mode', 'target', '--tid', TARGET_ID];
  await askTarget(place, '--op', 'new', ...own, '-T', iqn);
  await askTarget(place, '--op', 'bind', ...own, '-I', 'ALL');
}

/** Starts the lab's own. */
export async function startIscsi(lab: Lab, signal: AbortSignal | undefined): Promise<void> {
  const place = targetPlace(lab);
  await startTarget(lab, place, signal);
  await addTarget(place, LAB_IQN);
}

/** Serves a file as the first LUN that is free, and gives its number. The daemon decides who was first. */
export async function addLun(place: TargetPlace, file: string): Promise<number> {
  const taken = new Set((await lunsOf(place)).map(({ lun }) => lun));
  for (let lun = 1; lun <= MAX_LUNS; lun += 1) {
    if (taken.has(lun)) continue;
    try {
      const own = ['--mode', 'logicalunit', '--tid', TARGET_ID, '--lun', String(lun)];
      await askTarget(place, '--op', 'new', ...own, '-b', file);
      return lun;
    } catch (error) {
      if (!/already exist/i.test(String(error))) throw error;
    }
  }
  throw godwitError('GODWIT_LAB', { what: `the iSCSI target has its ${MAX_LUNS} LUNs already` });
}

/** The LUNs that are files of ours, of all targets of a daemon. */
async function lunsOf(place: TargetPlace): Promise<{ tid: number; lun: number; file: string }[]> {
  return lunsIn(await askTarget(place, '--op', 'show', '--mode', 'target'));
}

/** Of what `tgtadm --op show --mode target` prints. Pure. */
export function lunsIn(text: string): { tid: number; lun: number; file: string }[] {
  const found: { tid: number; lun: number; file: string }[] = [];
  let tid = 0;
  let lun = 0;
  for (const line of text.split('\n')) {
    tid = Number(/^Target (\d+): /.exec(line)?.[1] ?? tid);
    lun = Number(/^\s+LUN: (\d+)$/.exec(line)?.[1] ?? lun);
    const file = /^\s+Backing store path: (\/.*)$/.exec(line)?.[1];
    if (file !== undefined) found.push({ tid, lun, file });
  }
  return found;
}

/** Takes back the LUNs whose files are below a directory. */
export async function removeLuns(place: TargetPlace, directory: string): Promise<void> {
  for (const { tid, lun, file } of await lunsOf(place)) {
    if (!file.startsWith(`${directory}/`)) continue;
    const own = ['--mode', 'logicalunit', '--tid', String(tid), '--lun', String(lun)];
    await askTarget(place, '--op', 'delete', ...own);
  }
}
