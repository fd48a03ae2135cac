import { mkdir } from 'node:fs/promises';
import { godwitError } from '../src/errors.ts';
import { defined } from '../src/protocol/defined.ts';
import { type Configure, issuePki, startAgents } from './agents.ts';
import { keepMounts, type ContainerDriver } from './container/places.ts';
import { labDown } from './down.ts';
import type { LabEntry } from './entry.ts';
import { buildNetwork, entryAlive, makeNamespaces, namespaceInodes } from './namespaces.ts';
import { MANAGERS } from './managers.ts';
import { networkLacks } from './network-lacks.ts';
import { networkSteps } from './network-plan.ts';
import { startOvs } from './openvswitch.ts';
import { startStorage, storageLacks } from './storage.ts';
import {
  checkPaths,
  hostNames,
  type LabManager,
  type LabNetwork,
  type LabPlan,
  type LabStorage,
  namespacesOf,
} from './plan.ts';

import { startRelay } from './relay/start.ts';
import { checkLabPrivilege, startHolder } from './rootless.ts';
import { isAlive, ownIdentity } from '../src/system/processes/process.ts';
import {
  PASSABLE,
  claimLabDirectory,
  type Lab,
  labOf,
  type LabState,
  readLabState,
  storageDirectory,
  writeLabState,
} from './state.ts';
import { checkLabName, labDirectory } from '../src/cli/connection/labs.ts';

export interface LabRequest {
  /** Default `lab`. */
  readonly name?: string;
  /** Default 2. Hosts are called a, b, c, ... */
  readonly hosts?: number;
  /** Caps each host's migration link, both directions, bytes/s. Default: not capped. */
  readonly linkBytesPerSecond?: number | undefined;
  /** Round trip between two hosts on the migration plane, ms. Default: none but the machine's own. */
  readonly delayMs?: number | undefined;
  /** Migration links of each host, each a network of its own. Default 1; more not with a delay. */
  readonly paths?: number | undefined;
  /** Where guests' disks lie: seen by all hosts, by each its own, or on a server of NFS, iSCSI or Ceph. Default shared. */
  readonly storage?: LabStorage | undefined;
  /** How guests are joined. Default `bridge`. */
  readonly network?: LabNetwork | undefined;
  /** Who runs the guests, or whose guests are beside them. Default: QEMU alone, which Godwit drives by itself. */
  readonly manager?: LabManager | undefined;
  /** A directory with unpacked packages of libvirt, in the place of the machine's own. */
  readonly managerPackages?: string | undefined;
  /** Hosts take containers beside virtual machines; as root, with the runc and CRIU of setup. Default false. */
  readonly containers?: boolean | undefined;
  /** Start an agent on each host. Default true. */
  readonly agents?: boolean;
  /** What an agent's configuration has beside the lab's own, for tests of odd hosts. */
  readonly configure?: Configure | undefined;
  readonly signal?: AbortSignal;
}

/**
 * Builds a lab and returns it; the same request for a lab that is up returns that lab.
 * What fails half-way is taken down again. Throws GODWIT_LAB (another shape is up, or another
 * process is building it), GODWIT_PRIVILEGE, GODWIT_HOST_LACKS.
 */
export async function labUp(request: LabRequest = {}): Promise<Lab> {
  const delayMs = request.delayMs === 0 ? undefined : request.delayMs;
  const plan: LabPlan = {
    name: checkLabName(request.name ?? 'lab'),
    hosts: hostNames(request.hosts ?? 2),
    linkBytesPerSecond: request.linkBytesPerSecond,
    delayMs,
    paths: checkPaths(request.paths ?? 1, delayMs),
    storage:
      request.storage ??
      (request.manager === undefined ? 'shared' : MANAGERS[request.manager].storage),
    network: request.network,
    manager: request.manager,
    managerPackages: request.managerPackages,
  };
  await checkLabPrivilege();
  const lacking =
    (await networkLacks(plan.network)) ??
    (await storageLacks(plan.storage)) ??
    (plan.manager === undefined ? undefined : await MANAGERS[plan.manager].lacks(plan));
  if (lacking !== undefined) throw lacking;
  if (!(await claimLabDirectory(plan.name))) {
    const standing = await standingLab(plan);
    if (standing !== undefined) return standing;
    // Debris of a run that was killed, or of a machine that was restarted.
    await labDown(plan.name);
    if (!(await claimLabDirectory(plan.name))) throw beingBuilt(plan.name);
  }
  try {
    return await build(plan, request);
  } catch (error) {
    await labDown(plan.name).catch((cause: unknown) => {
      const what = `lab ${plan.name} could not be built (${String(error)}) nor taken down again`;
      throw godwitError('GODWIT_LAB', { what }, { cause });
    });
    throw error;
  }
}

/** A lab that is up. Throws GODWIT_LAB_UNKNOWN when it is not. */
export async function openLab(name = 'lab'): Promise<Lab> {
  const state = await readLabState(name);
  const lab = state === undefined ? undefined : await livingLab(state);
  if (lab === undefined || state?.phase !== 'up')
    throw godwitError('GODWIT_LAB_UNKNOWN', { lab: name });
  return lab;
}

/** The lab of a state when its namespaces are really there. */
async function livingLab(state: LabState): Promise<Lab | undefined> {
  const { entry } = state;
  if (entry === undefined || !(await entryAlive(entry))) return undefined;
  const there = await namespaceInodes(entry, Object.keys(state.namespaces));
  const all = Object.entries(state.namespaces).every(([name, inode]) => there[name] === inode);
  return all ? labOf({ ...state, entry }) : undefined;
}

async function standingLab(plan: LabPlan): Promise<Lab | undefined> {
  const state = await readLabState(plan.name).catch(() => undefined);
  if (state === undefined) return undefined;
  if (state.phase === 'building') {
    if (isAlive(state.builder)) throw beingBuilt(plan.name);
    return undefined;
  }
  const lab = await livingLab(state);
  if (lab === undefined || sameShape(plan, lab)) return lab;
  const what = `lab ${plan.name} is up in another shape: ${lab.hosts.length} hosts, link ${lab.linkBytesPerSecond ?? 'uncapped'}, delay ${lab.delayMs ?? 0} ms, paths ${lab.paths ?? 1}, network ${lab.network ?? 'bridge'}, storage ${lab.storage ?? 'shared'}, manager ${lab.manager ?? 'none'}`;
  throw godwitError(
    'GODWIT_LAB',
    { what },
    { hint: 'Take it down first, or choose another --name.' },
  );
}

function sameShape(plan: LabPlan, lab: LabPlan): boolean {
  return (
    plan.hosts.length === lab.hosts.length &&
    plan.linkBytesPerSecond === lab.linkBytesPerSecond &&
    plan.delayMs === lab.delayMs &&
    (plan.paths ?? 1) === (lab.paths ?? 1) &&
    (plan.storage ?? 'shared') === (lab.storage ?? 'shared') &&
    (plan.network ?? 'bridge') === (lab.network ?? 'bridge') &&
    plan.manager === lab.manager &&
    plan.managerPackages === lab.managerPackages
  );
}

function beingBuilt(name: string): Error {
  return godwitError(
    'GODWIT_LAB',
    { what: `another process is building lab ${name} right now` },
    { hint: 'Wait for it, or choose another --name.' },
  );
}

async function build(plan: LabPlan, request: LabRequest): Promise<Lab> {
  const { agents = true, signal } = request;
  const dir = labDirectory(plan.name);
  const state: LabState = {
    version: 1,
    name: plan.name,
    phase: 'building',
    builder: ownIdentity(),
    createdAt: new Date().toISOString(),
    hosts: [...plan.hosts],
    ...defined({ linkBytesPerSecond: plan.linkBytesPerSecond, delayMs: plan.delayMs }),
    ...((plan.paths ?? 1) === 1 ? {} : { paths: plan.paths }),
    ...defined({
      storage: plan.storage,
      network: plan.network,
      manager: plan.manager,
      managerPackages: plan.managerPackages,
    }),
    namespaces: {},
  };
  await writeLabState(state);
  const entry: LabEntry =
    process.getuid?.() === 0 ? { kind: 'root' } : await startHolder(dir, signal);
  await writeLabState({ ...state, entry });
  const namespaces = await makeNamespaces(entry, namespacesOf(plan), signal);
  const built = { ...state, entry, namespaces };
  await writeLabState(built);
  const lab = labOf(built);
  await mkdir(`${dir}/guests`, { mode: 0o700 });
  for (const member of lab.members) {
    await mkdir(member.stateDir, { recursive: true, mode: PASSABLE });
    await mkdir(storageDirectory(lab, member.name), { recursive: true, mode: PASSABLE });
  }
  await startOvs(lab, signal);
  await buildNetwork(lab, networkSteps(plan), signal);
  await startStorage(lab, signal);
  if (lab.delayMs !== undefined) await startRelay(lab, lab.delayMs, signal);
  const containers = request.containers === true ? await keepMounts(lab) : undefined;
  const manager = lab.manager === undefined ? undefined : MANAGERS[lab.manager];
  if (manager !== undefined) await issuePki(lab);
  await manager?.start?.(lab, signal);
  if (agents) await startAgents(lab, withContainers(request.configure, containers), signal);
  await manager?.startBeside?.(lab, signal);
  await writeLabState({ ...built, phase: 'up' });
  return lab;
}

/** The hosts' configuration with a section for containers, where the lab is to have any. */
export function withContainers(
  configure: Configure | undefined,
  containers: ((stateDir: string) => ContainerDriver) | undefined,
): Configure | undefined {
  if (containers === undefined) return configure;
  return (host, own) => {
    const given = configure?.(host, own);
    const criu = Object.assign({}, containers(own.stateDir), given?.drivers?.['criu']);
    return { ...given, drivers: { ...given?.drivers, criu } };
  };
}
