import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { warns, type Finding } from '../../migration/preflight/finding.ts';

/**
 * Settings that a host's owner applied to a guest's process from outside, and which the destination's new process
 * lacks.
 */

/** Examined threads; a guest has one per processor. */
const MAX_THREADS = 4096;
const MAX_VALUE = 120;
const MAX_SCHEDULINGS = 4;

/** cgroup v2 files with their defaults. */
const CGROUP_FILES: Readonly<Record<string, string>> = {
  'cpu.max': 'max 100000',
  'cpu.max.burst': '0',
  'cpu.uclamp.min': '0.00',
  'cpu.uclamp.max': 'max',
  'cpu.weight': '100',
  'cpu.idle': '0',
  'cpuset.cpus': '',
  'cpuset.mems': '',
  'cpuset.cpus.partition': 'member',
  'memory.max': 'max',
  'memory.high': 'max',
  'memory.low': '0',
  'memory.min': '0',
  'memory.swap.max': 'max',
  'memory.oom.group': '0',
  'io.max': '',
  'io.weight': 'default 100',
  'io.latency': '',
  'io.prio.class': 'no-change',
};

/** The same for version 1, by controller; an empty group has these values. */
const OLD_CGROUP_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  cpu: { 'cpu.shares': '1024', 'cpu.cfs_quota_us': '-1' },
  memory: {
    'memory.limit_in_bytes': '9223372036854771712',
    'memory.soft_limit_in_bytes': '9223372036854771712',
  },
  blkio: {
    'blkio.throttle.read_bps_device': '',
    'blkio.throttle.write_bps_device': '',
    'blkio.throttle.read_iops_device': '',
    'blkio.throttle.write_iops_device': '',
  },
};

/** Resource limits that programs do not set themselves, as in `/proc/PID/limits`; the default is unlimited. */
const LIMITS = /^(Max (?:cpu time|file size|data size|resident set|address space)) +(\S+) +(\S+)/gm;

/** cgroup limits that Godwit sets itself, also at the destination. */
const OWN_FILES: ReadonlySet<string> = new Set(['memory.max']);

export interface Roots {
  readonly proc: string;
  readonly sys: string;
}

const HOST: Roots = { proc: '/proc', sys: '/sys' };

/** Describes settings that differ from a new process's; empty if the process is gone. */
export async function processSettings(pid: number, roots: Roots = HOST): Promise<string[]> {
  const own = path.join(roots.proc, String(pid));
  const self = path.join(roots.proc, 'self');
  const [stat, limits, oom, ownOom, groups, ownGroups, online, ownStatus, threads] =
    await Promise.all([
      textOf(path.join(own, 'stat')),
      textOf(path.join(own, 'limits')),
      textOf(path.join(own, 'oom_score_adj')),
      textOf(path.join(self, 'oom_score_adj')),
      textOf(path.join(own, 'cgroup')),
      textOf(path.join(self, 'cgroup')),
      textOf(path.join(roots.sys, 'devices/system/cpu/online')),
      textOf(path.join(self, 'status')),
      readdir(path.join(own, 'task')).catch(() => []),
    ]);
  return [
    ...(await schedulings(own, stat, threads.slice(0, MAX_THREADS))),
    ...resourceLimits(limits),
    ...(oom === ownOom || oom === '' ? [] : [`oom_score_adj ${oom}`]),
    ...(await affinity(own, threads.slice(0, MAX_THREADS), [online, processorsOf(ownStatus)])),
    // The agent's own cgroup has nothing specific to the guest.
    ...(groups === ownGroups ? [] : await cgroup(groups, roots)),
    ...(groups === ownGroups ? [] : await oldCgroups(groups, roots)),
  ];
}

/** Fields 19 (nice) and 41 (policy) of `proc_pid_stat(5)`; the name before them may contain anything. */
function scheduling(stat: string): string[] {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [nice = '0', policy = '0'] = [fields[16], fields[38]];
  return [
    ...(nice === '0' ? [] : [`nice ${nice}`]),
    ...(policy === '0' ? [] : [`scheduling policy ${policy}`]),
  ];
}

/** A guest's processors are threads, each with a policy. */
async function schedulings(
  own: string,
  stat: string,
  threads: readonly string[],
): Promise<string[]> {
  const stats = threads.map((thread) => textOf(path.join(own, 'task', thread, 'stat')));
  const main = scheduling(stat);
  const others = (await Promise.all(stats)).flatMap(scheduling);
  const words = [...new Set(others)].filter((each) => !main.includes(each));
  return [...main, ...words.slice(0, MAX_SCHEDULINGS).map((each) => `${each} of some threads`)];
}

function resourceLimits(text: string): string[] {
  return [...text.matchAll(LIMITS)].flatMap(([, name = '', soft]) =>
    soft === 'unlimited' ? [] : [`${name.toLowerCase().replace('max ', 'limit of ')} ${soft}`],
  );
}

/** `usual`: the online processors, and the agent's own, which a container may limit for all its processes. */
async function affinity(
  own: string,
  threads: readonly string[],
  usual: readonly (string | undefined)[],
): Promise<string[]> {
  const [online = ''] = usual;
  const lists = await Promise.all(
    threads.map(async (thread) =>
      processorsOf(await textOf(path.join(own, 'task', thread, 'status'))),
    ),
  );
  const bound = lists.filter((list) => list !== undefined && !usual.includes(list));
  if (online === '' || bound.length === 0) return [];
  const shown = [...new Set(bound)].slice(0, 4).join(' and ');
  return [`${bound.length} of ${lists.length} threads bound to processors ${shown} of ${online}`];
}

function processorsOf(status: string): string | undefined {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(status)?.[1];
}

async function cgroup(groups: string, { sys }: Roots): Promise<string[]> {
  const at = /^0::(\/.*)$/m.exec(groups)?.[1];
  if (at === undefined || at === '/' || at.split('/').includes('..')) return [];
  const isOurs = at.split('/').includes('godwit');
  const found = await Promise.all(
    Object.entries(CGROUP_FILES).map(async ([file, usual]) => {
      if (isOurs && OWN_FILES.has(file)) return [];
      const value = await textOf(path.join(sys, 'fs/cgroup', at, file), usual);
      if (value === usual) return [];
      return [`cgroup ${file} ${value.replaceAll(/\s+/g, ' ').slice(0, MAX_VALUE)}`];
    }),
  );
  return found.flat();
}

/** `4:cpu,cpuacct:/machine/web1`: a controller is mounted under its name, or the joined names. */
async function oldCgroups(groups: string, { sys }: Roots): Promise<string[]> {
  const found: string[] = [];
  for (const [, names = '', at = ''] of groups.matchAll(/^\d+:([a-z_,]+):(\/.+)$/gm)) {
    if (at.split('/').includes('..')) continue;
    for (const name of names.split(',')) {
      for (const [file, usual] of Object.entries(OLD_CGROUP_FILES[name] ?? {})) {
        const value = await firstText(
          [names, name].map((each) => path.join(sys, 'fs/cgroup', each, at, file)),
        );
        if (value === undefined || value === usual) continue;
        found.push(`cgroup ${file} ${value.replaceAll(/\s+/g, ' ').slice(0, MAX_VALUE)}`);
      }
    }
  }
  return found;
}

async function firstText(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return text.trim();
  }
  return undefined;
}

async function textOf(file: string, otherwise = ''): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => otherwise);
  return text.trim();
}

export function judgeProcessSettings(settings: readonly string[]): Finding[] {
  if (settings.length === 0) return [];
  const hint =
    'Nothing to do if the guest can be without; else set it again at the destination, by a hook after-resume.';
  return [warns(`set on the guest’s process, and stays behind: ${settings.join('; ')}`, hint)];
}
