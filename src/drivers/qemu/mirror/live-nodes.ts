import type { GuestHandle } from '../../port/driver.ts';
import { readFacts } from '../guest/facts.ts';
import { processOf } from '../guest/process.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { describeDisks } from '../spec/disks.ts';

/** What the nodes of a guest's description are called in its QEMU. */
export async function liveNodes(
  client: QmpClient,
  handle: GuestHandle,
  host: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const process = await processOf(handle, 'source', host);
  const facts = await readFacts(client, process, signal);
  return describeDisks(parseCommandLine(facts.argv), facts).live;
}
