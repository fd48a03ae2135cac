import { readFacts } from '../guest/facts.ts';
import { processOf } from '../guest/process.ts';
import type { QmpClient } from '../qmp/client.ts';
import { parseCommandLine } from '../spec/cmdline.ts';
import { describeDisks } from '../spec/disks/disks.ts';
import type { QemuHandle } from '../handle.ts';

export type LiveNodes = (signal: AbortSignal) => Promise<ReadonlyMap<string, string>>;

export async function liveNodes(
  client: QmpClient,
  handle: QemuHandle,
  host: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const process = await processOf(handle, host);
  const facts = await readFacts(client, process, signal);
  return describeDisks(parseCommandLine(facts.argv), facts).live;
}
