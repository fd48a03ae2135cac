import { godwitError } from '../../errors.ts';
import { pairsBetween } from '../../gpu/checkpoint.ts';
import type { HostContext } from './host-context.ts';
import { processesIn } from './processes.ts';
import type { ContainerRecord } from './records.ts';
import type { ContainerSpec } from './spec.ts';

/** The state of a container's GPUs, by its record: at either end, and whoever took it away. */

/** Gives it back, and says so in the record; nothing where nothing was taken away. May be repeated. */
export async function giveGpus(
  { records, gpus }: Pick<HostContext, 'records' | 'gpus'>,
  name: string,
  cgroup: string,
): Promise<void> {
  const taken = records.readSync(name)?.gpu;
  if (taken === undefined) return;
  await gpus.giveBack(await gpus.suspended(await processesIn(cgroup)), taken.pairs);
  await records.change(name, { gpu: undefined });
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
