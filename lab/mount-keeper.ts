import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { godwitError } from '../src/errors.ts';
import { isAlive } from '../src/system/processes/process.ts';
import { inHost } from './entry.ts';
import { labEnvironment } from './environment.ts';
import { processesInNamespaces, startDetached } from './processes.ts';
import { labHost, type Lab } from './state.ts';

/** A process of a host that keeps separate mounts for as long as the lab is up: programs enter its namespaces. */
export interface MountKeeper {
  /** A variable in its environment, by which it is found. */
  readonly mark: string;
  /** The command that makes the mounts, makes the file `ready` and becomes `sleep`. */
  readonly argv: readonly string[];
  readonly ready: string;
  /** The name of its log in the host's directory. */
  readonly log: string;
  readonly startMs: number;
}

/** Resolves once the mounts are there. GODWIT_LAB with the last lines of the log if the command ends before. */
export async function startMountKeeper(
  lab: Lab,
  host: string,
  { mark, argv, ready, log, startMs }: MountKeeper,
  signal: AbortSignal | undefined,
): Promise<void> {
  const logFile = path.join(labHost(lab, host).dir, log);
  const started = await startDetached(inHost(lab, host, argv), {
    logFile,
    env: { ...labEnvironment(lab), [mark]: host },
  });
  await withDeadline(`the mounts of ${host}`, startMs, signal, async (inner) => {
    // The file appears just before the command becomes the process that keeps the mounts.
    while (!existsSync(ready) || (await findKeeper(lab, host, mark)) === undefined) {
      if (!isAlive(started)) {
        const lines = (await readFile(logFile, 'utf8')).trim().split('\n').slice(-2).join(' | ');
        throw godwitError('GODWIT_LAB', { what: `host ${host} has no separate mounts: ${lines}` });
      }
      await systemClock.sleep(20, inner);
    }
  });
}

/** The pid of a host's keeper. GODWIT_LAB if it has ended. */
export async function mountKeeper(lab: Lab, host: string, mark: string): Promise<number> {
  const found = await findKeeper(lab, host, mark);
  if (found !== undefined) return found;
  const hint = 'Take the lab down and build it anew.';
  throw godwitError('GODWIT_LAB', { what: `the mounts of host ${host} are gone` }, { hint });
}

async function findKeeper(lab: Lab, host: string, mark: string): Promise<number | undefined> {
  const inode = lab.namespaces[labHost(lab, host).namespace];
  const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
  for (const { pid, argv } of all) {
    if (argv[0] !== 'sleep') continue;
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    if (environment.split('\0').includes(`${mark}=${host}`)) return pid;
  }
  return undefined;
}
