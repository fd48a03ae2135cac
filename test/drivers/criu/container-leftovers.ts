import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from '../../../src/lab/command.ts';
import { labHost } from '../../../src/lab/state.ts';
import type { Lab } from '../../../src/lab/state.ts';

/** What containers that have left leave on a host: mounts, links, cgroups, directories. */
export async function containerLeftovers(lab: Lab, host: string, name: string): Promise<string[]> {
  const { stateDir, namespace } = labHost(lab, host);
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((at) => at.startsWith(`${stateDir}/containers/`));
  const links = (await runCommand(['ip', '-n', namespace, '-o', 'link'])).match(/\bgc[0-9a-f]+/g);
  const directories = await readdir(path.join(stateDir, 'containers')).catch(() => []);
  const own = directories.filter((each) => !each.startsWith('.'));
  return [...mounts, ...(links ?? []), ...own.map((each) => `${each} of ${name}`)];
}

/** The cgroups whose names have that of a container. */
export async function cgroupsOf(name: string): Promise<string[]> {
  const root = '/sys/fs/cgroup';
  const groups = await readdir(root, { withFileTypes: true });
  const found = await Promise.all(
    groups
      .filter((each) => each.isDirectory())
      .map(async (each) => {
        const within = await readdir(path.join(root, each.name)).catch(() => []);
        return [each.name, ...within].filter((one) => one.includes(name));
      }),
  );
  return [...new Set(found.flat())];
}
