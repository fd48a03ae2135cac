import type { CpuFacts } from '../spec/facts.ts';
import type { QemuProcess } from './process.ts';

interface ProcessorEntry {
  readonly is: string;
  readonly cpu: CpuFacts;
}

/**
 * Guests' processors, which do not change while their QEMU lives. QEMU's answer has hundreds of names, so
 * repeated looks ask only once. A guest that is about to move is read again.
 */
export class KeptProcessors {
  /** Keys are pids; bounded by the QEMUs of the last look. */
  readonly #known = new Map<number, ProcessorEntry>();

  async of(
    process: QemuProcess,
    [place, type]: readonly [place: string, type: string],
    read: () => Promise<CpuFacts>,
  ): Promise<CpuFacts> {
    const { pid, startTicks, bootId, binary, argv } = process;
    // A process may execute another program without a new start time.
    const is = JSON.stringify([startTicks, bootId, binary, argv, place, type]);
    const known = this.#known.get(pid);
    if (known?.is === is) return known.cpu;
    const cpu = await read();
    this.#known.set(pid, { is, cpu });
    return cpu;
  }

  keepOnly(processes: readonly Pick<QemuProcess, 'pid'>[]): void {
    const there = new Set(processes.map(({ pid }) => pid));
    for (const pid of this.#known.keys()) if (!there.has(pid)) this.#known.delete(pid);
  }
}
