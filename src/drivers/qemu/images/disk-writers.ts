import { z } from 'zod';
import { hasCode } from '../../../errors.ts';
import type { ImageIdentities } from '../../../migration/image-identity.ts';
import { warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import type { WrittenFiles } from '../../../port/disks.ts';
import { identifyOpen, identityOf, inodesOf, openFiles } from '../../../system/files/open-files.ts';
import { listQemuProcesses } from '../guest/process.ts';
import type { QmpClient } from '../qmp/client.ts';
import { ownerOf } from './variable-store-users.ts';

/** Guests of this host that may write to the files of a guest's disks, from the kernel's view of all QEMUs. */

const name = z.string().max(65_536);
const nodes = z
  .array(z.object({ 'node-name': name.default(''), drv: name, file: name, ro: z.boolean() }))
  .max(16_384);
const OF_THIS_HOST: ReadonlySet<string> = new Set(['file', 'host_device']);
const OF_A_NETWORK: ReadonlySet<string> = new Set(['nfs', 'iscsi', 'rbd', 'nbd', 'https', 'ssh']);

const readNodes = (client: QmpClient, signal: AbortSignal): Promise<z.infer<typeof nodes>> =>
  client.query('query-named-block-nodes', { flat: true }, nodes, signal);

export async function imageFiles(client: QmpClient, signal: AbortSignal): Promise<Set<string>> {
  const own = (await readNodes(client, signal)).filter(({ drv }) => OF_THIS_HOST.has(drv));
  return new Set(own.map(({ file }) => file));
}

/** Nodes whose files a QEMU has open; undefined if this user may not inspect the process. */
export async function openedImages(
  client: QmpClient,
  pid: number,
  files: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<ImageIdentities | undefined> {
  const own = await imageFiles(client, signal);
  const images = [...files].flatMap(([node, file]) =>
    own.has(file) ? [{ node, device: node, file }] : [],
  );
  return identifyOpen(pid, images).catch((thrown: unknown) => {
    if (hasCode(thrown, 'GODWIT_HOST_LACKS')) return undefined;
    throw thrown;
  });
}

export async function writtenFiles(client: QmpClient, signal: AbortSignal): Promise<WrittenFiles> {
  const all = await readNodes(client, signal);
  const written = all.filter(({ ro }) => !ro);
  return {
    files: [...new Set(written.filter(({ drv }) => OF_THIS_HOST.has(drv)).map(({ file }) => file))],
    remote: written.filter(({ drv }) => OF_A_NETWORK.has(drv)).length,
  };
}

/** Names of the writing guests, for each file in the given order. A missing file has none. */
export async function diskWriters(
  files: readonly string[],
  signal: AbortSignal,
): Promise<(readonly string[])[]> {
  const ids = await Promise.all(files.map(identityOf));
  const inodes = await inodesOf(files);
  const writers = new Map<string, Set<string>>();
  for (const process of inodes.size === 0 ? [] : await listQemuProcesses(signal)) {
    for (const { id, mayWrite } of await openFiles(process, inodes)) {
      const by = `${ownerOf(process)} (process ${process.pid})`;
      if (mayWrite) writers.set(id, (writers.get(id) ?? new Set()).add(by));
    }
  }
  return ids.map((id) => [...(id === undefined ? [] : (writers.get(id) ?? []))]);
}

const SHARED_HINT =
  'QEMU’s own lock on the image would refuse the guest at the switch: shut the other down, or give it a disk of its own. Nothing to do where both write by agreement (`share-rw=on`, a file system of a cluster).';

/**
 * Refuses if another guest of this host may write to images that the guest will open here. No finding if that is
 * unknown.
 */
export async function writerChecks(
  { host, guest }: { readonly host: string; readonly guest: string },
  files: readonly string[],
  signal: AbortSignal,
  writersOf = diskWriters,
): Promise<NamedCheck[]> {
  const local = files.filter((file) => file.startsWith('/'));
  const writers = await writersOf(local, signal).catch(() => []);
  signal.throwIfAborted();
  return local.flatMap((file, index) => {
    const others = (writers[index] ?? []).filter((by) => !by.startsWith(`${guest} (process `));
    if (others.length === 0) return [];
    const evidence = `${others.join(' and ')} may write to ${file} at ${host}`;
    return [warn('disks', evidence, SHARED_HINT, 'destination')];
  });
}
