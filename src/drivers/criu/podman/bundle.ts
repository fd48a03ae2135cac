import { copyFile, open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { absent } from '../../../system/ignoring.ts';
import { unescaped } from '../files/rootfs.ts';
import { archiveMs } from '../files/trees.ts';
import type { Runc } from '../runtimes/runc.ts';
import { LOG, SHM } from './stand-in.ts';

/** podman's bundle of an arriving container. Godwit fills it while the stand-in waits. */

export interface PodmanBundle {
  readonly merged: string;
  readonly ports: readonly string[];
  readonly shm: string | undefined;
  readonly log: string;
}

interface Filling {
  readonly run: Runc['run'];
  readonly mountsOf: number | undefined;
  readonly made: PodmanBundle;
  readonly images: string;
  readonly upper: string;
}

const config = z.looseObject({
  root: z.looseObject({ path: z.string().startsWith('/') }),
  mounts: z.array(z.looseObject({ destination: z.string(), source: z.string().optional() })),
  linux: z.looseObject({
    namespaces: z.array(z.looseObject({ type: z.string(), path: z.string().optional() })),
  }),
});

export async function readBundle(
  run: Runc['run'],
  prefix: string,
  bundle: string,
): Promise<PodmanBundle> {
  const text = await readFile(`${prefix}${path.join(bundle, 'config.json')}`, 'utf8');
  const { root, mounts, linux } = config.parse(JSON.parse(text));
  const netns = linux.namespaces.find(({ type }) => type === 'network')?.path;
  const ports = netns === undefined ? [] : await findPorts(run, netns);
  const shm = mounts.find(({ destination }) => destination === '/dev/shm')?.source;
  const log = `${prefix}${path.join(bundle, 'ctr.log')}`;
  return { merged: root.path, ports, shm: shm?.startsWith('/') === true ? shm : undefined, log };
}

export async function fillBundle(filling: Filling): Promise<void> {
  const { run, mountsOf, made, images, upper } = filling;
  const archive = path.join(images, SHM);
  const size = (await stat(archive).catch(absent))?.size;
  if (made.shm !== undefined && size !== undefined) {
    const keep = ['--xattrs', '--numeric-owner', '-p'];
    await run(['tar', ...keep, '-C', made.shm, '-xf', archive], { deadlineMs: archiveMs(size) });
  }
  await bringLog(path.join(images, LOG), made.log);
  const table = await readFile(`/proc/${mountsOf ?? 'self'}/mountinfo`, 'utf8');
  const found = overlayAt(table, made.merged);
  if (found === undefined) throw new Error(`no overlay is mounted at ${made.merged}`);
  await replaceUpper(run, found, { merged: made.merged, came: upper });
}

const links = z.array(
  z.looseObject({
    ifindex: z.number().int(),
    ifname: z.string(),
    link_index: z.number().int().optional(),
    link_type: z.string().optional(),
  }),
);

/** Host ends of the links in a network namespace. */
async function findPorts(run: Runc['run'], netns: string): Promise<string[]> {
  const [within, here] = await Promise.all([
    run(['nsenter', `--net=${netns}`, 'ip', '-j', 'link']),
    run(['ip', '-j', 'link']),
  ]);
  const own = links.parse(JSON.parse(within)).filter(({ link_type: type }) => type !== 'loopback');
  const all = links.parse(JSON.parse(here));
  return own.flatMap(({ ifindex, link_index: other }) => {
    const port = all.find((each) => each.ifindex === other && each.link_index === ifindex);
    return port === undefined ? [] : [port.ifname];
  });
}

export function overlayAt(
  mountinfo: string,
  place: string,
): { readonly options: string; readonly upper: string } | undefined {
  const lines = mountinfo.split('\n').map((line) => line.split(' '));
  const words = lines.findLast((each) => unescaped(each[4] ?? '') === place);
  const [type, , given = ''] = words?.slice(words.indexOf('-') + 1) ?? [];
  if (words === undefined || type !== 'overlay') return undefined;
  const flags = (words[5] ?? '').split(',').filter((each) => /^(nodev|nosuid|noexec)$/.test(each));
  const own = unescaped(given)
    .split(',')
    .filter((each) => each !== 'rw');
  const upper = own.find((each) => each.startsWith('upperdir='))?.slice('upperdir='.length);
  if (upper?.startsWith('/') !== true) return undefined;
  return { options: [...flags, ...own].join(','), upper };
}

/**
 * The directory of a mounted overlay must not be written to, so it is unmounted and mounted again. It is synced, because the
 * source removes its files once the container runs here.
 */
const REPLACE = `
set -e
merged=$1 options=$2 upper=$3 came=$4
umount "$merged"
find "$upper" -xdev -mindepth 1 -delete
chown --reference="$came" "$upper"
chmod --reference="$came" "$upper"
find "$came" -mindepth 1 -maxdepth 1 -exec mv -t "$upper" {} +
sync -f "$upper"
mount -t overlay overlay -o "$options" "$merged"
`;

export async function replaceUpper(
  run: Runc['run'],
  { options, upper }: { readonly options: string; readonly upper: string },
  { merged, came }: { readonly merged: string; readonly came: string },
): Promise<void> {
  const argv = ['sh', '-c', REPLACE, 'replace', merged, options, upper, came];
  // The deadline allows a full copy: the source may be on another file system.
  await run(argv, { deadlineMs: archiveMs(0) });
}

/** conmon appends to its open log, so the lines are written into that file. */
export async function bringLog(came: string, own: string): Promise<void> {
  const [from, to] = [await stat(came).catch(absent), await stat(own).catch(absent)];
  if (from === undefined || to === undefined) return;
  if (from.size < to.size) return copyFile(came, own);
  const source = await open(came);
  const target = await open(own, 'a');
  try {
    const part = Buffer.allocUnsafe(1024 * 1024);
    for (let at = to.size; at < from.size;) {
      const { bytesRead } = await source.read(part, 0, part.length, at);
      if (bytesRead === 0) break;
      await target.write(part, 0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await source.close();
    await target.close();
  }
}
