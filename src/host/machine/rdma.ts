import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { MAX_RDMA } from '../../protocol/peer/host-facts.ts';

const DEVICES = '/sys/class/infiniband';

/** RDMA devices with an active port: InfiniBand, RoCE and iWARP. */
export async function rdmaDevices(directory = DEVICES): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const active: string[] = [];
  for (const name of names.toSorted((one, other) => one.localeCompare(other))) {
    const ports = path.join(directory, name, 'ports');
    const states = (await readdir(ports).catch(() => [])).map((port) =>
      readFile(path.join(ports, port, 'state'), 'utf8').catch(() => ''),
    );
    if ((await Promise.all(states)).some((state) => state.startsWith('4'))) active.push(name);
  }
  return active.filter((name) => name.length <= 64).slice(0, MAX_RDMA);
}
