import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import { parseCgroupCores, parseCgroupStat, type ProcessorTicks } from './load-parse.ts';

/** The processors of a host that is not all of its machine: those of its cgroup. */
export class OwnProcessors {
  readonly #cgroup: string;
  /** Once it is known: counters of more or fewer processors than before say nothing. */
  #cores: number | undefined;

  constructor({ cgroup, cores }: NonNullable<AgentConfig['processor']>) {
    this.#cgroup = cgroup;
    this.#cores = cores;
  }

  /** Of the `machine`'s, those that this host may fill. */
  async cores(machine: number): Promise<number> {
    this.#cores ??= parseCgroupCores(await this.#text('cpu.max'), machine);
    return this.#cores;
  }

  /** GODWIT_HOST_LACKS where the cgroup has no cpu.stat: what nobody counts is not zero. */
  async ticks(machine: number, atMs: number): Promise<ProcessorTicks> {
    const text = await this.#text('cpu.stat');
    const ticks = parseCgroupStat(text, await this.cores(machine), atMs);
    if (ticks !== undefined) return ticks;
    const what = `${this.#cgroup} has no cpu.stat of cgroup v2`;
    const hint = 'Set `processor.cgroup` to the directory of this host’s cgroup.';
    throw godwitError('GODWIT_HOST_LACKS', { what }, { hint });
  }

  /** As a file of /proc/pressure; '' where the kernel counts none. */
  pressure(): Promise<string> {
    return this.#text('cpu.pressure');
  }

  #text(file: string): Promise<string> {
    return readFile(path.join(this.#cgroup, file), 'utf8').catch(() => '');
  }
}

/** Undefined where all of the machine's are this host's. */
export function ownProcessors({
  processor,
}: Pick<AgentConfig, 'processor'>): OwnProcessors | undefined {
  return processor === undefined ? undefined : new OwnProcessors(processor);
}
