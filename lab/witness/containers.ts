import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { parseStat } from '../../src/system/processes/process.ts';
import { runCommand } from '../command.ts';
import { labRunc } from '../container/launch.ts';
import { runcRoot } from '../container/places.ts';
import { inLab } from '../entry.ts';
import { labHost, type Lab } from '../state.ts';

/** What runc and the kernel say of a lab's containers, without asking Godwit. */

const listed = z.array(z.object({ id: z.string(), pid: z.number().int(), status: z.string() }));

/** The hosts on which the container runs: runc knows it there, and its first process is neither stopped nor frozen. */
export async function containerRunsOn(lab: Lab, name: string): Promise<string[]> {
  const found = await Promise.all(
    lab.members.map(async (member) => {
      const text = await labRunc(runcRoot(member.stateDir), ['list', '-f', 'json']).catch(
        () => '[]',
      );
      const own = listed.parse(JSON.parse(text) ?? []).find(({ id }) => id === name);
      if (own?.status !== 'running') return [];
      const stat = await readFile(`/proc/${own.pid}/stat`, 'utf8').catch(() => '');
      const state = parseStat(stat)?.state;
      return state === undefined || state === 'T' ? [] : [member.name];
    }),
  );
  return found.flat();
}

/**
 * The network namespaces that migrations made for containers of a host. The kernel keeps an id there of each one that has
 * had a link to it, also once the link is gone.
 */
export async function madeNamespaces(lab: Lab, host: string): Promise<string[]> {
  const { namespace } = labHost(lab, host);
  const named = await runCommand(inLab(lab.entry, ['ip', '-n', namespace, 'netns', 'list']));
  return [...named.matchAll(/^(godwit-[0-9a-f]+) \(id: \d+\)/gm)].map(([, name = '']) => name);
}

/** What containers that have left leave on a host: mounts, links, namespaces, directories. */
export async function containerLeftovers(lab: Lab, host: string): Promise<string[]> {
  const { stateDir, namespace } = labHost(lab, host);
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((at) => at.startsWith(`${stateDir}/containers/`));
  const links = (await runCommand(['ip', '-n', namespace, '-o', 'link'])).match(/\bgc[0-9a-f]+/g);
  const directories = await readdir(path.join(stateDir, 'containers')).catch(() => []);
  const own = directories.filter((each) => !each.startsWith('.'));
  return [
    ...mounts.map((at) => `mount ${at}`),
    ...(links ?? []).map((link) => `link ${link}`),
    ...(await madeNamespaces(lab, host)).map((name) => `namespace ${name}`),
    ...own.map((each) => `directory containers/${each}`),
  ];
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
