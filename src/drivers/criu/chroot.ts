import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { CommandOptions } from './command.ts';
import type { Runc } from './runc.ts';

/**
 * A program that sees the system's programs, one directory that it may write in (`/tree`) and one that it may read (`/in`),
 * and nothing else. Links that another host has made lead no further than that. Its mounts are its own, and end with it.
 */
const SCRIPT = `
mount -t tmpfs -o mode=0700 tmpfs "$1"
cd "$1"
mkdir tree in
for each in usr bin sbin lib lib64; do
  if [ -L "/$each" ]; then ln -s "$(readlink "/$each")" "$each"
  elif [ -d "/$each" ]; then
    mkdir "$each"
    mount --bind "/$each" "$each"
    mount -o remount,bind,ro "$each"
  fi
done
mount --bind "$2" tree
mount --bind "$3" in
mount -o remount,bind,ro in
shift 3
exec chroot . "$@"
`;

/** `input` is a directory of this process's alone; a directory of it is used. */
export async function inChroot(
  runc: Pick<Runc, 'run'>,
  { tree, input }: { readonly tree: string; readonly input: string },
  argv: readonly string[],
  options: Partial<CommandOptions>,
): Promise<void> {
  const root = path.join(input, 'chroot');
  await mkdir(root, { recursive: true, mode: 0o700 });
  const enter = ['unshare', '-m', '--propagation', 'private', 'sh', '-ec', SCRIPT, 'chroot'];
  await runc.run([...enter, root, tree, input, ...argv], options);
}
