import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { kill } from '../../../system/processes/process.ts';
import { pass, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import type { GuestSpec } from '../spec/schema.ts';
import type { Command } from './confine.ts';

/**
 * Cgroup of each guest's QEMU. It limits the threads and memory of a compromised QEMU to a guest's legitimate
 * needs. It lasts as long as the guest's directory.
 */

export type QemuCgroup = 'none' | { readonly memoryMarginBytes: number; readonly tasks: number };

export interface Limits {
  readonly memoryBytes: number;
  readonly tasks: number;
}

interface Hierarchy {
  readonly parent: string;
  /** Files that must first delegate the controllers. */
  readonly enable: readonly string[];
  readonly files: Readonly<Partial<Record<keyof Limits, string>>>;
}

const OURS = 'godwit';
const V2_FILES = { memoryBytes: 'memory.max', tasks: 'pids.max' } as const;
const V1 = {
  memory: { memoryBytes: 'memory.limit_in_bytes' },
  pids: { tasks: 'pids.max' },
} as const;
const SHARE_OF_MEMORY = 0.25;
/** Threads of a block device's pool in each of its loops (thread-pool.c of QEMU). */
const POOL_TASKS = 64;
/** The kernel removes an ended process from its cgroup a moment after its pid disappears, ms. */
const EMPTY_MS = 2000;
const POLL_MS = 10;

const KEPT_OF_MEMORY = 1 / 16;
const SHARE_OF_TASKS = 1 / 4;

/**
 * Upper limits for a legitimate QEMU of this guest, below the resources of `host`. A peer reports the guest's
 * size and threads, so they need a bound. Pure.
 */
export function limitsFor(
  { ramBlocks, memory, smp, objects }: GuestSpec,
  { memoryMarginBytes, tasks }: Exclude<QemuCgroup, 'none'>,
  host: Limits,
): Limits {
  const made = ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0);
  const guest = Math.max(made, memory.maxBytes ?? 0, memory.bytes);
  const bytes = guest * (1 + SHARE_OF_MEMORY) + memoryMarginBytes;
  const loops = objects.filter(({ type }) => type === 'iothread').length + 1;
  const wanted = tasks + 2 * (smp.maxcpus ?? smp.cpus ?? 1) + POOL_TASKS * loops;
  return {
    memoryBytes: Math.ceil(Math.min(bytes, host.memoryBytes * (1 - KEPT_OF_MEMORY))),
    tasks: Math.floor(Math.min(wanted, Math.max(tasks, host.tasks * SHARE_OF_TASKS))),
  };
}

export function roomOfHost(): Limits {
  const read = (file: string): number => {
    try {
      return Number(readFileSync(file, 'utf8'));
    } catch {
      return Infinity;
    }
  };
  const most = ['/proc/sys/kernel/pid_max', '/proc/sys/kernel/threads-max'].map(read);
  return { memoryBytes: totalmem(), tasks: Math.min(...most) };
}

/**
 * Hierarchies that limit memory and tasks: cgroup v2 from its root, or v1 below this process's cgroups.
 * Undefined if there is neither. Pure: reads the texts of /proc/self/mountinfo and /proc/self/cgroup.
 */
export function hierarchiesIn(
  mountinfo: string,
  own: string,
  controllersOf: (root: string) => string,
): Hierarchy[] | undefined {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const [, , , root = '', at = ''] = left.split(' ');
    const [type = '', , options = ''] = right.split(' ');
    return type.startsWith('cgroup') ? [{ type, root, at, options: options.split(',') }] : [];
  });
  for (const { at } of mounts.filter(({ type }) => type === 'cgroup2')) {
    const there = controllersOf(at).trim().split(/\s+/);
    if (!there.includes('memory') || !there.includes('pids')) continue;
    const parent = path.join(at, OURS);
    const enable = [at, parent].map((each) => path.join(each, 'cgroup.subtree_control'));
    return [{ parent, enable, files: V2_FILES }];
  }
  const found: Hierarchy[] = [];
  for (const [name, files] of Object.entries(V1)) {
    const mount = mounts.find(({ type, options }) => type === 'cgroup' && options.includes(name));
    if (mount === undefined) return undefined;
    const line = own.split('\n').find((each) => each.split(':')[1]?.split(',').includes(name));
    const below = path.relative(mount.root, line?.split(':')[2] ?? '/');
    const inside = below.startsWith('..') ? '' : below;
    found.push({ parent: path.join(mount.at, inside, OURS), enable: [], files });
  }
  return found;
}

/** Undefined if /proc cannot be read, too. */
function hierarchies(): Hierarchy[] | undefined {
  const read = (file: string): string => readFileSync(file, 'utf8');
  const controllersOf = (root: string): string => {
    try {
      return read(path.join(root, 'cgroup.controllers'));
    } catch {
      return '';
    }
  };
  try {
    return hierarchiesIn(read('/proc/self/mountinfo'), read('/proc/self/cgroup'), controllersOf);
  } catch {
    return undefined;
  }
}

/** Unique per guest and host: two agents on one kernel may have guests of the same name. */
function nameOf(guestDir: string): string {
  const mark = createHash('sha256').update(path.resolve(guestDir)).digest('hex').slice(0, 12);
  return `${path.basename(guestDir)}.${mark}`;
}

/** Creates Godwit's directory in each hierarchy, or returns the reason why it cannot. Only an attempt shows that. */
function prepare(): { readonly all: readonly Hierarchy[] } | { readonly why: string } {
  try {
    const all = hierarchies();
    if (all === undefined)
      return {
        why: 'the agent sees no cgroup file system with memory and pids (one that is mounted elsewhere on the host does not count)',
      };
    for (const { parent, enable } of all) {
      mkdirSync(parent, { recursive: true });
      for (const file of enable) {
        const on = readFileSync(file, 'utf8').trim().split(/\s+/);
        if (on.includes('memory') && on.includes('pids')) continue;
        writeFileSync(file, '+memory +pids');
      }
    }
    return { all };
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

export function cgroupCheck(wanted: QemuCgroup): NamedCheck {
  if (wanted === 'none') {
    const evidence = 'QEMU stays in the agent’s cgroup (drivers.qemu.cgroup)';
    return pass('cgroup', evidence, 'destination');
  }
  const made = prepare();
  if ('all' in made) return pass('cgroup', 'QEMU has a cgroup of its own', 'destination');
  const evidence = `QEMU’s memory and threads have no bound: ${made.why}`;
  const hint =
    'Let the agent make cgroups there, or set drivers.qemu.cgroup to "none" to accept it.';
  return warn('cgroup', evidence.slice(0, 512), hint, 'destination');
}

/**
 * Creates the guest's cgroup and returns a command that enters it before it becomes `command`; without a cgroup,
 * returns `command`.
 */
export function inCgroup(guestDir: string, limits: Limits | undefined, command: Command): Command {
  const made = limits === undefined ? undefined : prepare();
  if (limits === undefined || made === undefined || 'why' in made) return command;
  try {
    for (const { parent, files } of made.all) {
      const own = path.join(parent, nameOf(guestDir));
      mkdirSync(own, { recursive: true });
      for (const [limit, file] of Object.entries(files)) {
        writeFileSync(path.join(own, file), String(limits[limit as keyof Limits]));
      }
    }
  } catch {
    // The check had succeeded. The arriving guest matters more than its limits.
    return command;
  }
  return entering(guestDir, command);
}

const ENTER = 'for each; do shift; [ "$each" = -- ] && break; echo 0 >"$each"; done; exec "$@"';

/** Command that enters an existing cgroup, for a restarted QEMU. */
export function entering(guestDir: string, { file, argv }: Command): Command {
  const lists = listsOf(guestDir);
  if (lists.length === 0) return { file, argv };
  return { file: '/bin/sh', argv: ['-c', ENTER, 'sh', ...lists, '--', file, ...argv] };
}

function listsOf(guestDir: string): string[] {
  return (hierarchies() ?? [])
    .map(({ parent }) => path.join(parent, nameOf(guestDir), 'cgroup.procs'))
    .filter((file) => membersIn(file) !== undefined);
}

function membersIn(file: string): number[] | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    // 0 is a process outside this PID namespace.
    return text
      .split('\n')
      .map(Number)
      .filter((pid) => pid > 1);
  } catch {
    return undefined;
  }
}

/**
 * Removes the guest's cgroup after its QEMU ended, and kills processes that QEMU started despite its filter.
 * Never rejects; an empty cgroup does no harm.
 */
export async function removeCgroup(guestDir: string): Promise<void> {
  for (const list of listsOf(guestDir)) {
    const until = performance.now() + EMPTY_MS;
    while (!isRemoved(path.dirname(list)) && performance.now() < until) {
      for (const pid of membersIn(list) ?? []) kill(pid);
      await systemClock.sleep(POLL_MS);
    }
  }
}

function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT';
  }
}
