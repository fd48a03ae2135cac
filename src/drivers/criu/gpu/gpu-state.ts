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

/** The state of a container's GPUs, by its record: at either end, and whoever took it away. */

type Dependencies = Pick<HostContext, 'host' | 'records' | 'gpus'>;

/** All of it, whatever the driver does, ms: longer than it may take to copy what one process has on its GPUs. */
const GIVE_MS = 2_400_000;
/** Between two looks at whether a helper has ended. */
const LOOK_MS = 50;

/**
 * Gives it back, and says so in the record; nothing where nothing was taken away. May be repeated: whoever stops waiting, on
 * the signal, leaves it to be given back, and what the driver is at goes on.
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
  // Who gave up waiting may have begun anew.
  signal.throwIfAborted();
  await records.change(name, { gpu: undefined });
}

/**
 * What the helper of a mover that has ended does comes to its end first: else it would take away what is given back. It ends
 * by itself then. Nobody ends it within a call of the driver. Rejects where it goes on for too long.
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

/** Which GPU it finds in place of which: for the record of a container that comes with the state of its GPUs. */
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
