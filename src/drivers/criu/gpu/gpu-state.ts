import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { pairsBetween } from '../../../gpu/checkpoint.ts';
import { lifeOf, type BootProcess } from '../../../system/processes/life.ts';
import type { HostContext } from '../host/host-context.ts';
import { processesIn } from '../host/processes.ts';
import type { ContainerRecord } from '../link/records.ts';
import { imageMs } from '../runtimes/runc.ts';
import type { ContainerSpec } from '../spec.ts';

type Dependencies = Pick<HostContext, 'host' | 'records' | 'gpus'>;

/** Total time limit, ms: exceeds the copy of a process's GPU memory. */
const GIVE_MS = 2_400_000;
const LOOK_MS = 50;

/**
 * Restores the state and updates the record; does nothing if no state was removed. Can be repeated: an abort
 * leaves the state to be restored later, and the driver's present work continues.
 */
export async function giveGpus(
  deps: Dependencies,
  name: string,
  cgroup: string,
  signal: AbortSignal,
): Promise<void> {
  await withDeadline(`the GPUs of ${name}`, GIVE_MS, signal, (within) =>
    give(deps, name, cgroup, within),
  );
}

async function give(
  deps: Dependencies,
  name: string,
  cgroup: string,
  signal: AbortSignal,
): Promise<void> {
  const { records, gpus } = deps;
  const record = records.readSync(name);
  if (record?.gpu === undefined) return;
  const { pairs, helper: before } = record.gpu;
  const helper = await gpus.helper();
  if (before !== undefined) {
    await helperEnded(deps.host, { before, own: helper, bytes: record.memoryBytes }, signal);
  }
  signal.throwIfAborted();
  await records.change(name, { gpu: { pairs, helper } });
  const suspended = await gpus.suspended(await processesIn(cgroup));
  signal.throwIfAborted();
  await gpus.giveBack(suspended, pairs);
  // A caller that gave up may have started again.
  signal.throwIfAborted();
  await records.change(name, { gpu: undefined });
}

/**
 * Waits for the helper of an ended mover, because it could remove the restored state. A helper is never killed
 * during a driver call; it ends by itself. Rejects after too long.
 */
async function helperEnded(
  host: string,
  {
    before,
    own,
    bytes,
  }: { readonly before: BootProcess; readonly own: BootProcess; readonly bytes: number },
  signal: AbortSignal,
): Promise<void> {
  if (before.pid === own.pid && before.startTicks === own.startTicks) return;
  const until = systemClock.monotonicMs() + imageMs(bytes);
  while (lifeOf(before).state !== 'gone') {
    if (systemClock.monotonicMs() > until) {
      const reason = `process ${before.pid}, which an earlier mover started, still works on the state of its GPUs`;
      const facts = { hypervisor: 'cuda', host, command: 'restore', reason };
      throw godwitError('GODWIT_HYPERVISOR', facts);
    }
    await systemClock.sleep(LOOK_MS, signal);
  }
}

export async function gpuPairs(
  { gpus }: Pick<HostContext, 'gpus'>,
  { gpu }: ContainerSpec,
  signal: AbortSignal,
): Promise<Pick<ContainerRecord, 'gpu'>> {
  if (gpu === undefined) return {};
  const here = await gpus.facts(signal);
  if (typeof here === 'string') throw godwitError('GODWIT_HOST_LACKS', { what: here });
  const [from, to] = [gpu.gpus, here.gpus].map((all) => all.map(({ uuid }) => uuid));
  return { gpu: { pairs: pairsBetween(from ?? [], to ?? []) } };
}
