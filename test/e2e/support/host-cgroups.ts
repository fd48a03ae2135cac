/**
 * Hosts of a lab that have processors of their own: a cgroup each for its agent, its guests and all that they start. What a
 * host uses is counted there, and it gets no more than one processor, whatever its machine has.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { AgentConfigInput } from '../../../src/config.ts';
import { processesInNamespaces } from '../../../lab/processes.ts';
import type { Lab } from '../../../lab/state.ts';
import { untilSo } from '../../until.ts';

/** Short turns: a guest that has used up its own waits for a moment only. */
const PERIOD_US = 20_000;
/** So many times what others get: what a test sees is its own hosts’ doing. */
const TIMES = 20;

interface Mounts {
  /** cgroup v2, which counts. */
  readonly v2: string;
  /** Where v1 has the processors. */
  readonly v1?: string;
}

function mounts(): Mounts | undefined {
  const all = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ');
      const [type = '', , options = ''] = right.split(' ');
      return { at: left.split(' ')[4] ?? '', type, options: options.split(',') };
    });
  const v2 = all.find(({ type }) => type === 'cgroup2')?.at;
  const v1 = all.find(({ type, options }) => type === 'cgroup' && options.includes('cpu'))?.at;
  return v2 === undefined ? undefined : { v2, ...(v1 === undefined ? {} : { v1 }) };
}

/** Why hosts can have no cgroup here; undefined where they can. */
export function lacksCgroups(): string | undefined {
  if (process.getuid?.() !== 0) return 'cgroups need root';
  const found = mounts();
  if (found === undefined) return 'cgroup v2 is not mounted';
  const { v1, v2 } = found;
  if (v1 !== undefined) return undefined;
  const controllers = readFileSync(path.join(v2, 'cgroup.controllers'), 'utf8').split(/\s+/);
  return controllers.includes('cpu') ? undefined : 'cgroups bound no processors here';
}

export class HostCgroups {
  readonly #name: string;
  /** cgroup v2 once more: a host of the lab has a /sys of its own, with no cgroup in it. */
  readonly #v2: string;
  readonly #v1: string | undefined;
  readonly #made: string[] = [];

  private constructor(name: string, v2: string, v1: string | undefined) {
    this.#name = name;
    this.#v2 = v2;
    this.#v1 = v1;
    // A test that takes too long is stopped: its lab is taken down, and then this process ends.
    process.once('exit', this.#remove);
  }

  /** `name`: what tells them from those of another lab. */
  static open(name: string): HostCgroups {
    const v2 = mkdtempSync(path.join(tmpdir(), 'godwit-cgroups-'));
    execFileSync('mount', ['-t', 'cgroup2', 'none', v2]);
    return new HostCgroups(name, v2, mounts()?.v1);
  }

  /** Makes that of a host; what the configuration of its agent has for it. */
  readonly configure = (host: string): Pick<AgentConfigInput, 'processor' | 'drivers'> => {
    const [v1, v2] = [this.#v1, this.#v2];
    const cgroup = this.#make(v2, host);
    if (v1 === undefined) {
      writeFileSync(path.join(v2, 'cgroup.subtree_control'), '+cpu');
      writeFileSync(path.join(cgroup, 'cpu.max'), `${PERIOD_US} ${PERIOD_US}`);
      writeFileSync(path.join(cgroup, 'cpu.weight'), String(TIMES * 100));
    } else {
      const bound = this.#make(v1, host);
      writeFileSync(path.join(bound, 'cpu.cfs_period_us'), String(PERIOD_US));
      writeFileSync(path.join(bound, 'cpu.cfs_quota_us'), String(PERIOD_US));
      writeFileSync(path.join(bound, 'cpu.shares'), String(TIMES * 1024));
    }
    // A cgroup of its own would take a guest out of its host’s.
    return { processor: { cgroup, cores: 1 }, drivers: { qemu: { cgroup: 'none' } } };
  };

  /** Puts all that runs on the hosts into their cgroups; what that starts later is there by itself. */
  async enter({ members, namespaces }: Lab): Promise<void> {
    for (const { name, namespace } of members) {
      const inode = namespaces[namespace];
      const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
      const own = this.#made.filter((each) => each.endsWith(`-${name}`));
      for (const { pid } of all)
        for (const each of own) writeFileSync(path.join(each, 'cgroup.procs'), String(pid));
    }
  }

  /** Removes them, once the lab is down. */
  async close(): Promise<void> {
    for (const each of this.#made.splice(0)) await untilSo(() => isRemoved(each));
    process.removeListener('exit', this.#remove);
    this.#remove();
  }

  readonly #remove = (): void => {
    for (const each of this.#made) isRemoved(each);
    execFileSync('umount', [this.#v2]);
    rmdirSync(this.#v2);
  };

  #make(at: string, host: string): string {
    const made = path.join(at, `${this.#name}-${host}`);
    mkdirSync(made);
    this.#made.push(made);
    return made;
  }
}

/** A process that has ended is in its cgroup for a moment. */
function isRemoved(directory: string): boolean {
  try {
    rmdirSync(directory);
    return true;
  } catch {
    return false;
  }
}
