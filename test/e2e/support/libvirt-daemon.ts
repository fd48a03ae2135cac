/** The daemon of a lab's host that has libvirt: its processes, and its start with another configuration. */
import { startLibvirtd } from '../../../lab/libvirt/daemon.ts';
import { processesInNamespaces, signalProcess, type LabProcess } from '../../../lab/processes.ts';
import { labHost, type Lab } from '../../../lab/state.ts';
import { until } from '../../until.ts';

const END_MS = 20_000;

/** The processes of a host whose program has such a name. */
export async function processesOf(lab: Lab, host: string, program: RegExp): Promise<LabProcess[]> {
  const inode = lab.namespaces[labHost(lab, host).namespace];
  const all = await processesInNamespaces(new Set(inode === undefined ? [] : [inode]));
  return all.filter(({ argv }) => program.test(argv[0] ?? ''));
}

export async function restartLibvirtd(lab: Lab, host: string): Promise<void> {
  for (const { pid } of await processesOf(lab, host, /libvirtd$/)) signalProcess(pid, 'SIGTERM');
  await until('libvirtd to end', END_MS, async () =>
    (await processesOf(lab, host, /libvirtd$/)).length === 0 ? true : undefined,
  );
  await startLibvirtd(lab, host);
}
