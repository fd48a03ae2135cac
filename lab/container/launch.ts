import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../src/errors.ts';
import { removeTree } from '../../src/system/files/remove-tree.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { runCommand } from '../command.ts';
import { containerConfig, type ContainerBind, type ContainerLoad } from './config.ts';
import { containerLayer } from './layer.ts';

export interface LaunchRequest extends ContainerLoad {
  readonly name: string;
  /** runc's directory of states. */
  readonly root: string;
  /** Of this container: its bundle and what it writes. */
  readonly dir: string;
  /** The name of its network namespace, which is there. */
  readonly netns: string;
  readonly cgroup: string;
  readonly binds?: readonly ContainerBind[] | undefined;
}

/** runc with the CRIU beside it, as setup has brought them; GODWIT_HOST_LACKS where it has not. */
export async function labRunc(root: string, args: readonly string[]): Promise<string> {
  const runc = path.join(cacheDirectory(), 'containers', 'bin', 'runc');
  try {
    return await runCommand([runc, '--root', root, ...args]);
  } catch (cause) {
    if (!(await readFile(runc).catch(() => undefined))) {
      const hint = 'Run `tools/setup.sh --only containers` as root.';
      throw godwitError('GODWIT_HOST_LACKS', { what: 'runc and CRIU' }, { hint, cause });
    }
    throw cause;
  }
}

/** Starts a container of the lab's image with an upper directory of its own. Resolves once runc has started it. */
export async function launchContainer(request: LaunchRequest): Promise<void> {
  const { name, root, dir, netns, cgroup } = request;
  const layer = request.program?.layer ?? (await containerLayer());
  const bundle = path.join(dir, 'bundle');
  for (const each of ['bundle/rootfs', 'upper', 'overlay']) {
    await mkdir(path.join(dir, each), { recursive: true });
  }
  const place = { hostname: name, netns: `/run/netns/${netns}`, cgroup };
  const config = JSON.stringify(containerConfig(place, request, request.binds), null, 2);
  await writeFile(path.join(bundle, 'config.json'), config);
  const upper = path.join(dir, 'upper');
  const options = `lowerdir=${layer},upperdir=${upper},workdir=${path.join(dir, 'overlay')}`;
  const rootfs = path.join(bundle, 'rootfs');
  await runCommand(['mount', '-t', 'overlay', 'overlay', '-o', options, rootfs]);
  const log = path.join(dir, 'runc.log');
  // The container inherits the standard streams: a pipe of ours would never close, and would not move.
  const script = 'exec "$0" "$@" </dev/null >/dev/null 2>/dev/null';
  const runc = path.join(cacheDirectory(), 'containers', 'bin', 'runc');
  const argv = ['--root', root, '--log', log, 'run', '-d', '--bundle', bundle, name];
  try {
    await labRunc(root, ['--version']);
    await runCommand(['sh', '-c', script, runc, ...argv]);
  } catch (cause) {
    const said = await readFile(log, 'utf8').catch(() => '');
    await removeContainer(request);
    const words = said.trim().split('\n').slice(-2).join('; ') || String(cause);
    throw godwitError(
      'GODWIT_LAB',
      { what: `container ${name} did not start: ${words}` },
      { cause },
    );
  }
}

/** Ends it where it was started, with its mount and files; nothing where it is not there any more. */
export async function removeContainer({
  name,
  root,
  dir,
}: Pick<LaunchRequest, 'name' | 'root' | 'dir'>): Promise<void> {
  await labRunc(root, ['delete', '--force', name]).catch(() => undefined);
  const rootfs = path.join(dir, 'bundle', 'rootfs');
  await runCommand(['umount', rootfs]).catch(() => undefined);
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  // A delete must not walk into a mount.
  if (mounts.includes(` ${dir}/`)) {
    throw godwitError('GODWIT_LAB', { what: `something is still mounted in ${dir}` });
  }
  await removeTree(dir);
}
