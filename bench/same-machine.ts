import { readFile } from 'node:fs/promises';
import { driverNamed, isManaged } from '../src/drivers/registry.ts';
import type { SourceSession } from '../src/port/direct.ts';
import { bootId, startTicksOf } from '../src/system/processes/process.ts';
import { startGuest } from '../lab/guest/start.ts';
import { labHost, type Lab } from '../lab/state.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { untilQuiet, withLab, witnessedQemu } from './lab.ts';

const GUEST = 'web1';
const DEFAULT_RUNS = 15;

/**
 * What the check `same-machine` takes of the guest that runs: its QEMU answers in its main thread, under the lock that the
 * guest's processors want when they touch a device. The time that this thread spends on a processor bounds it from above.
 */
export const sameMachine: Bench = {
  name: 'same-machine',
  summary:
    'reading a running machine, to compare it: how long that takes, and its QEMU’s main thread',
  run: (options) => withLab(options, (lab) => measure(lab, options)),
};

async function measure(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const runs = options.runs ?? DEFAULT_RUNS;
  await startGuest(lab, { name: GUEST, host: 'a', signal });
  await untilQuiet(lab, signal);
  const { pid, witness } = await witnessedQemu(lab, GUEST, 'a');
  const session = await openGuest(lab, { pid, monitor: witness }, signal);
  const tooks: number[] = [];
  const costs: number[] = [];
  try {
    for (let run = 0; run < runs; run += 1) {
      const [began, ran] = [performance.now(), await mainThreadMs(pid)];
      await session.sameMachine?.(signal);
      tooks.push(performance.now() - began);
      const tookMs = tooks.at(-1) ?? 0;
      const costMs = (await mainThreadMs(pid)) - ran;
      // What the thread does in as long a time without it: the guest's own devices, its clock.
      const idle = await mainThreadMs(pid);
      await new Promise((resolve) => setTimeout(resolve, tookMs));
      costs.push(costMs - ((await mainThreadMs(pid)) - idle));
      say(`${tookMs.toFixed(0)} ms, of which ${costs.at(-1)?.toFixed(1)} ms of QEMU’s main thread`);
    }
  } finally {
    await session.close();
  }
  const reported = (name: string, values: number[]): Measure => {
    return { name, value: median(values), unit: 'ms', runs };
  };
  return [
    reported('reading the machine', tooks),
    reported('QEMU’s main thread on a processor for it', costs),
  ];
}

async function openGuest(
  lab: Lab,
  { pid, monitor }: { readonly pid: number; readonly monitor: string },
  signal: AbortSignal,
): Promise<SourceSession> {
  const { name, stateDir } = labHost(lab, 'a');
  const driver = await driverNamed('qemu', { name, stateDir, drivers: {} });
  if (isManaged(driver)) throw new Error('the driver qemu is direct');
  const startTicks = startTicksOf(pid);
  if (startTicks === undefined) throw new Error(`${GUEST} has ended`);
  const place = { driver: 'qemu', name: GUEST, pid, startTicks, bootId: bootId(), monitor };
  return driver.openSource(place, signal);
}

/** How long the first thread of a process was on a processor, ms. */
async function mainThreadMs(pid: number): Promise<number> {
  const [nanoseconds] = (await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')).split(' ');
  return Number(nanoseconds) / 1e6;
}
