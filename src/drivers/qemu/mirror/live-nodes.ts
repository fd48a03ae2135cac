import { godwitError } from '../../../errors.ts';
import type { GuestHandle } from '../../port/driver.ts';
import { readFacts } from '../guest/facts.ts';
import { readProcess } from '../guest/process.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { describeDisks } from '../spec/disks.ts';

/** What the nodes of a guest's description are called in its QEMU. */
export async function liveNodes(
  client: QmpClient,
  { name: guest, pid }: GuestHandle,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const process = await readProcess(pid);
  if (process === undefined) {
    const reason = 'its process has ended';
    throw godwitError('GODWIT_HYPERVISOR_LOST', { side: 'source', guest, reason });
  }
  const facts = await readFacts(client, process, signal);
  return describeDisks(parseCommandLine(facts.argv), facts).live;
}
