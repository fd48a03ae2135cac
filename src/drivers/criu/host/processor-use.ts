import os from 'node:os';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { systemClock } from '../../../clock.ts';
import { MS_PER_TICK, startTicksOf } from '../../../system/processes/process.ts';

const MIN_MS = 5000;
/** Kernel's weight of one processor, by cgroup version. */
const SHARES = 1024;
const WEIGHT = 100;

export interface ProcessorAllowance {
  /** Processors by its quota and its parents' quotas; absent: no limit. */
  readonly quota?: number | undefined;
  readonly cpuset: number;
  /** Share of a busy host, by its weight. */
  readonly share: number;
}

/** Processors of a guest of equal size. Without a limit, its weight and use count instead of the whole host. Pure. */
export function sizeOf(
  { quota, cpuset, share }: ProcessorAllowance,
  host: number,
  used: number,
): number {
  const most = Math.max(1, Math.min(host, cpuset, Math.ceil(quota ?? Infinity)));
  if (quota !== undefined || cpuset < host) return most;
  return Math.min(most, Math.max(1, Math.ceil(share), Math.ceil(used)));
}

/** `0-3,7` is 5; 0 for an empty list. Pure. */
export function listedCount(list: string): number {
  const parts = list
    .trim()
    .split(',')
    .filter((each) => each !== '');
  return parts.reduce((sum, part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return sum + to - from + 1;
  }, 0);
}

/** `50000 100000` is 0.5; undefined for `max 100000` and `-1 100000`, which are unlimited. Pure. */
export function quotaIn(text: string): number | undefined {
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  if (quota === undefined || period === undefined) return undefined;
  return quota > 0 && period > 0 ? quota / period : undefined;
}

interface UsageSample {
  readonly startTicks: number;
  readonly usedMs: number;
  readonly atMs: number;
  readonly cores: number;
}

export interface ProcessorUse {
  readonly vcpus: number;
  /** Mean since the last look or the start, in cores; absent if the kernel does not count. */
  readonly usedCores?: number;
}

/** Keeps each container's last use, by its first process. */
export class ProcessorUses {
  #seen = new Map<number, UsageSample>();
  readonly #prefix: string;
  readonly #nowMs: () => number;

  constructor(prefix: string, nowMs = (): number => systemClock.monotonicMs()) {
    this.#prefix = prefix;
    this.#nowMs = nowMs;
  }

  async of(pid: number): Promise<ProcessorUse> {
    const groups = groupsIn(await textOf(`/proc/${pid}/cgroup`));
    const cores = await this.#used(pid, groups);
    const host = os.availableParallelism();
    const vcpus = sizeOf(await this.#allowed(pid, groups), host, cores ?? 0);
    if (cores === undefined) return { vcpus };
    return { vcpus, usedCores: Math.min(vcpus, Math.round(cores * 100) / 100) };
  }

  keep(pids: ReadonlySet<number>): void {
    for (const pid of this.#seen.keys()) if (!pids.has(pid)) this.#seen.delete(pid);
  }

  async #used(pid: number, groups: Groups): Promise<number | undefined> {
    const startTicks = startTicksOf(pid);
    const usedMs = await this.#usedMs(groups);
    if (startTicks === undefined || usedMs === undefined) return undefined;
    const before = this.#seen.get(pid);
    const isIt = before?.startTicks === startTicks;
    const atMs = this.#nowMs();
    if (isIt && atMs - before.atMs < MIN_MS) return before.cores;
    const ageMs = os.uptime() * 1000 - startTicks * MS_PER_TICK;
    const [overMs, ms] = isIt
      ? [atMs - before.atMs, usedMs - before.usedMs]
      : [Math.max(ageMs, MIN_MS), usedMs];
    const cores = Math.max(0, ms) / overMs;
    this.#seen.set(pid, { startTicks, usedMs, atMs, cores });
    return cores;
  }

  async #usedMs(groups: Groups): Promise<number | undefined> {
    const old = this.#at(groups, 'cpuacct');
    if (old !== undefined) {
      const text = await textOf(path.join(old, 'cpuacct.usage'));
      return text === '' ? undefined : Number(text) / 1e6;
    }
    const stat = await textOf(path.join(this.#at(groups, '') ?? '/', 'cpu.stat'));
    const usedUs = /^usage_usec (\d+)$/m.exec(stat)?.[1];
    return usedUs === undefined ? undefined : Number(usedUs) / 1000;
  }

  async #allowed(pid: number, groups: Groups): Promise<ProcessorAllowance> {
    const status = await textOf(`/proc/${pid}/status`);
    const cpuset = listedCount(/^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1] ?? '');
    const old = this.#at(groups, 'cpu');
    const own = old ?? this.#at(groups, '');
    const above = own === undefined ? [] : directoriesTo(own, groups.get(old ? 'cpu' : '') ?? '');
    const read = old === undefined ? quotaOf : oldQuotaOf;
    const quotas = await Promise.all(above.map(read));
    const set = quotas.filter((each) => each !== undefined);
    const [file, whole] = old === undefined ? ['cpu.weight', WEIGHT] : ['cpu.shares', SHARES];
    const share = own === undefined ? 0 : Number(await textOf(path.join(own, file))) / whole;
    return {
      cpuset: cpuset === 0 ? Infinity : cpuset,
      share: Number.isFinite(share) ? share : 0,
      ...(set.length === 0 ? {} : { quota: Math.min(...set) }),
    };
  }

  /** Directory of a v1 controller, or of v2 (''). */
  #at(groups: Groups, controller: string): string | undefined {
    const found = groups.get(controller);
    const root = `${this.#prefix}/sys/fs/cgroup`;
    // A host may mount several controllers in one place, with a link for each name.
    return found === undefined ? undefined : path.join(root, controller, found);
  }
}

/** Cgroup of a process by controller; '' is v2. */
export type Groups = ReadonlyMap<string, string>;

/** Parses /proc/PID/cgroup. Pure. */
export function groupsIn(text: string): Groups {
  return new Map(
    text
      .trim()
      .split('\n')
      .flatMap((line) => {
        const [, controllers = '', ...at] = line.split(':');
        return controllers.split(',').map((each) => [each, at.join(':')] as const);
      }),
  );
}

/** Cgroup's directory and its parents, without the root, which has no limit. */
function directoriesTo(own: string, inHierarchy: string): string[] {
  const found: string[] = [];
  let at = own;
  for (const _ of inHierarchy.split('/').filter(Boolean)) {
    found.push(at);
    at = path.dirname(at);
  }
  return found;
}

const quotaOf = async (directory: string): Promise<number | undefined> =>
  quotaIn(await textOf(path.join(directory, 'cpu.max')));

async function oldQuotaOf(directory: string): Promise<number | undefined> {
  const [quota, period] = await Promise.all(
    ['cpu.cfs_quota_us', 'cpu.cfs_period_us'].map((file) => textOf(path.join(directory, file))),
  );
  return quotaIn(`${quota} ${period}`);
}

const textOf = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
