import { lifeOf } from '../../host/life.ts';
import type { DestinationOptions, HypervisorStatus } from '../port/direct.ts';
import type { Arrival } from './arrival.ts';
import { isMadeFor } from './container-ownership.ts';
import { coldRun } from './cold-start.ts';
import type { HostContext } from './host-context.ts';
import { cgroupOf, standsStill } from './processes.ts';

/** Where a container stands that comes, by what is written down of it and by what the kernel says. */
export async function destinationStatus(
  context: HostContext,
  options: DestinationOptions,
  arrival: Arrival | undefined,
  signal: AbortSignal,
): Promise<HypervisorStatus> {
  const { guest } = options;
  const gone = { run: 'gone', stream: 'none' } as const;
  const record = context.records.readSync(guest);
  if (record === undefined || !isMadeFor(record, options))
    return { ...gone, reason: 'nothing was made for it here' };
  const stream = arrival?.reported.stream ?? 'none';
  if (record.init === undefined) {
    if (arrival !== undefined) return { run: 'incoming', stream };
    return { ...gone, reason: 'the mover that waited for it has ended' };
  }
  const life = lifeOf(record.init);
  if (life.state === 'gone') return { ...gone, reason: life.reason };
  const { pid } = record.init;
  if (record.cold !== undefined) return { run: await coldRun(context, guest, signal), stream };
  const cgroup = (await cgroupOf(pid, context.prefix)) ?? '';
  // Without the state of its GPUs it does not run on, though its processors do.
  const stands = record.gpu !== undefined || (await standsStill(pid, cgroup));
  const isLate = record.late === true;
  return { run: stands ? 'paused' : 'running', stream: isLate ? stream : 'completed' };
}
