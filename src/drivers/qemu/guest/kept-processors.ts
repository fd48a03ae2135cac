import type { CpuFacts } from '../spec/facts.ts';
import type { QemuProcess } from './process.ts';

interface ProcessorEntry {
  /** All that makes it the same processor of the same QEMU. */
  readonly is: string;
  readonly cpu: CpuFacts;
}

/**
 * What guests see of their processor, which stays as it is for as long as their QEMU lives. Whoever looks at all guests now and
 * then asks for it once: QEMU's answer has hundreds of names. A guest that is about to move is asked for all anew.
 */
export class KeptProcessors {
  /** By pid: as many as QEMUs that were there at the last look. */
  readonly #known = new Map<number, ProcessorEntry>();

  /** `place` and `type`: of the processor that is asked for. What cannot be read is not kept. */
  async of(
    process: QemuProcess,
    [place, type]: readonly [place: string, type: string],
    read: () => Promise<CpuFacts>,
  ): Promise<CpuFacts> {
    const { pid, startTicks, bootId, binary, argv } = process;
    // A process may begin another program without another start.
    const is = JSON.stringify([startTicks, bootId, binary, argv, place, type]);
    const known = this.#known.get(pid);
    if (known?.is === is) return known.cpu;
    const cpu = await read();
    this.#known.set(pid, { is, cpu });
    return cpu;
  }

  /** Forgets those of QEMUs that are not there any more. */
  keepOnly(processes: readonly Pick<QemuProcess, 'pid'>[]): void {
    const there = new Set(processes.map(({ pid }) => pid));
    for (const pid of this.#known.keys()) if (!there.has(pid)) this.#known.delete(pid);
  }
}
