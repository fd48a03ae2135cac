import { lstat, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Differs } from './trial-container.ts';

/**
 * A container as NVIDIA's Container Toolkit has it by CDI: config.json with a bind mount for each file of the driver, and
 * hooks that make links, the loader's cache and a mount over one of the driver's files in /proc. The hooks' program is a
 * stand-in for nvidia-cdi-hook that does in the container's root what that does.
 */

const LIBRARIES = '/usr/lib/x86_64-linux-gnu';

const HOOK = `#!/bin/sh -e
verb=$1
shift
bundle=$(sed -n 's/.*"bundle": *"\\([^"]*\\)".*/\\1/p')
root=$bundle/rootfs
case $verb in
  create-symlinks)
    while [ $# -gt 1 ]; do
      mkdir -p "$root$(dirname "\${2#*::}")"
      ln -sf "\${2%%::*}" "$root\${2#*::}"
      shift 2
    done ;;
  enable-cuda-compat) : ;;
  update-ldcache)
    mkdir -p "$root/etc/ld.so.conf.d"
    echo "$2" >"$root/etc/ld.so.conf.d/00-nvcr.conf"
    echo 'include /etc/ld.so.conf.d/*.conf' >"$root/etc/ld.so.conf"
    /sbin/ldconfig -r "$root" ;;
  disable-device-node-modification)
    over=/proc/driver/nvidia/params
    [ -e "$over" ] || over=/proc/version
    scratch=$root/run/nvidia-ctk-hook/1
    mkdir -p "$scratch"
    mount -t tmpfs -o size=64k tmpfs "$scratch"
    sed 's/ModifyDeviceFiles: 1/ModifyDeviceFiles: 0/' "$over" >"$scratch/nvct-params"
    mount --bind "$scratch/nvct-params" "$root$over" ;;
  *) exit 2 ;;
esac
`;

/** `driver`: the directory of the driver's libraries, of which this container has each by a mount of its own. */
export async function asToolkit(
  driver: string,
  { program, section }: Differs,
  directory: string,
): Promise<Differs> {
  if (program === undefined) throw new Error('a container of a program of its own');
  const hook = path.join(directory, 'nvidia-cdi-hook');
  await writeFile(hook, HOOK, { mode: 0o755 });
  for (const each of ['etc', 'run', LIBRARIES.slice(1)])
    await mkdir(path.join(program.layer, each), { recursive: true });
  const names: string[] = [];
  for (const name of (await readdir(driver)).filter((each) => /\.so\.[\d.]+$/.test(each)))
    if ((await lstat(path.join(driver, name))).isFile()) names.push(name);
  const options = ['ro', 'nosuid', 'nodev'];
  const binds = names.map((name) => {
    return { source: path.join(driver, name), destination: `${LIBRARIES}/${name}`, options };
  });
  const verb = (...args: readonly string[]) => ({ path: hook, args: ['nvidia-cdi-hook', ...args] });
  const hooks = {
    createContainer: [
      verb('create-symlinks', '--link', `libcuda.so.1::${LIBRARIES}/libcuda.so`),
      verb('enable-cuda-compat', '--host-driver-version=580.1'),
      verb('update-ldcache', '--folder', LIBRARIES),
      verb('disable-device-node-modification'),
    ],
  };
  // What it finds, it finds by the loader's cache.
  const env = (program.env ?? []).filter((each) => !each.startsWith('LD_LIBRARY_PATH='));
  return {
    program: { ...program, env: [...env, 'NVIDIA_VISIBLE_DEVICES=void'], hooks },
    binds,
    section: { ...section, hostDirs: [driver] },
  };
}
