import { mkdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { GodwitError, godwitError } from '../src/errors.ts';
import { didYouMean } from '../src/protocol/nearest.ts';
import {
  labDirectory,
  labHostPlace,
  labHosts,
  labPhase,
  labsDirectory,
  readLabFile,
  temporaryHome,
} from '../src/cli/connection/labs.ts';
import type { LabEntry } from './entry.ts';
import {
  hostAddress,
  LAB_MANAGERS,
  LAB_STORAGE,
  LAB_NETWORKS,
  type LabPlan,
  MAX_PATHS,
  namespaceOf,
  pathsOf,
} from './plan.ts';

const pid = z.number().int().positive();
const ticks = z.number().int().nonnegative();

const labEntry = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('root') }),
  z.strictObject({ kind: z.literal('user'), holderPid: pid, holderStartTicks: ticks }),
]);

/** lab.json: written before the first namespace is made, so that whatever follows can be undone. */
const labState = z.strictObject({
  version: z.literal(1),
  name: z.string().max(32),
  /** `building` names who builds: when that process is gone, the lab is debris. */
  phase: labPhase,
  builder: z.strictObject({ pid, startTicks: ticks }),
  createdAt: z.string().max(40),
  entry: labEntry.optional(),
  hosts: labHosts,
  linkBytesPerSecond: z.number().positive().optional(),
  delayMs: z.number().positive().optional(),
  /** Migration links of each host; absent: 1. */
  paths: z.number().int().min(2).max(MAX_PATHS).optional(),
  /** Absent: shared. */
  storage: z.enum(LAB_STORAGE).optional(),
  /** Absent: bridge. */
  network: z.enum(LAB_NETWORKS).optional(),
  /** Absent: none. */
  manager: z.enum(LAB_MANAGERS).optional(),
  /** Absent: those of the machine. */
  managerPackages: z.string().max(4096).optional(),
  /** Inode number of each network namespace. */
  namespaces: z.record(z.string().max(32), z.number().int().positive()).default({}),
});
export type LabState = z.infer<typeof labState>;

export interface LabHost {
  readonly name: string;
  readonly namespace: string;
  /** On the migration plane. */
  readonly address: string;
  /** Its addresses on the further paths, in a lab that has them. */
  readonly furtherAddresses: readonly string[];
  readonly dir: string;
  readonly stateDir: string;
  readonly configFile: string;
  readonly agentSocket: string;
  readonly agentLog: string;
}

/** A lab that is up (or, within this folder, being built or taken down). */
export interface Lab extends LabPlan {
  readonly dir: string;
  readonly entry: LabEntry;
  readonly members: readonly LabHost[];
  /** Inode number of each network namespace, by its name. */
  readonly namespaces: Readonly<Record<string, number>>;
}

/** The recorded state of a lab, or undefined when there is none. Throws GODWIT_LAB when it cannot be read. */
export function readLabState(name: string): Promise<LabState | undefined> {
  return readLabFile(name, labState);
}

export async function writeLabState(state: LabState): Promise<void> {
  const file = path.join(labDirectory(state.name), 'lab.json');
  await writeFile(`${file}.tmp`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

/** Nobody else may list it, and guests' QEMUs, which are users of their own, get to what is theirs below it. */
export const PASSABLE = 0o711;
/** How often a lab's directory is tried to be made while others go. */
const CLAIMS = 10;

/** Makes the lab's directory; false when it was there already. */
export async function claimLabDirectory(name: string): Promise<boolean> {
  const dir = labDirectory(name);
  try {
    await makeBelow(path.dirname(dir), dir);
    return true;
  } catch (error) {
    if (error instanceof GodwitError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    const what = `${dir} cannot be made: ${(error as Error).message}`;
    throw godwitError('GODWIT_LAB', { what }, { cause: error });
  }
}

/** The last lab that goes takes the directory above with it: it may do so between the two steps here. */
async function makeBelow(above: string, dir: string, again = CLAIMS - 1): Promise<void> {
  await mkdir(above, { recursive: true, mode: PASSABLE });
  try {
    await checkOwner(above);
    await mkdir(dir, { mode: PASSABLE });
  } catch (error) {
    if (again === 0 || (error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    await makeBelow(above, dir, again - 1);
  }
}

/** Removes the lab's directory, and those above it that were made for labs and are empty now. */
export async function removeLabDirectory(name: string): Promise<void> {
  const dir = labDirectory(name);
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  const labs = labsDirectory();
  await rmdir(labs).catch(() => {});
  if (path.dirname(labs) === temporaryHome()) await rmdir(temporaryHome()).catch(() => {});
}

/** Its name is known to everybody, so somebody else may have made it first. */
async function checkOwner(dir: string): Promise<void> {
  const { uid } = await stat(dir);
  if (uid === process.getuid?.()) return;
  const what = `${dir} belongs to another user`;
  throw godwitError(
    'GODWIT_LAB',
    { what },
    { hint: 'Set GODWIT_LAB_DIR to a directory of your own.' },
  );
}

/** The lab that a state describes. */
export function labOf(state: LabState & { entry: LabEntry }): Lab {
  const dir = labDirectory(state.name);
  return {
    name: state.name,
    hosts: state.hosts,
    linkBytesPerSecond: state.linkBytesPerSecond,
    delayMs: state.delayMs,
    paths: state.paths,
    storage: state.storage,
    network: state.network,
    manager: state.manager,
    managerPackages: state.managerPackages,
    dir,
    entry: state.entry,
    namespaces: state.namespaces,
    members: state.hosts.map((host) => {
      const { dir: hostDir, agentSocket } = labHostPlace(state.name, host);
      return {
        name: host,
        namespace: namespaceOf(state.name, host),
        address: hostAddress(host),
        furtherAddresses: pathsOf(state)
          .slice(1)
          .map((path) => hostAddress(host, path)),
        dir: hostDir,
        stateDir: path.join(hostDir, 'state'),
        configFile: path.join(hostDir, 'config.json'),
        agentSocket,
        agentLog: path.join(hostDir, 'agent.log'),
      };
    }),
  };
}

/** Where the disks of a host's guests lie: its `storage`, or what the lab's NFS server exports. */
export function storageDirectory(lab: Pick<Lab, 'dir' | 'storage'>, host: string): string {
  return path.join(lab.dir, lab.storage === 'local' ? `hosts/${host}/storage` : 'storage');
}

/** A host of the lab; GODWIT_HOST_UNKNOWN suggests the nearest name. */
export function labHost(lab: Lab, name: string): LabHost {
  const found = lab.members.find((member) => member.name === name);
  if (found !== undefined) return found;
  const near = didYouMean(name, lab.hosts);
  const hint = near === undefined ? '' : `${near} `;
  throw godwitError(
    'GODWIT_HOST_UNKNOWN',
    { host: name.slice(0, 64) },
    { hint: `${hint}Lab ${lab.name} has the hosts ${lab.hosts.join(', ')}.` },
  );
}
