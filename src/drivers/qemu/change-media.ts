import { godwitError } from '../../errors.ts';
import type { GuestDescription } from '../../protocol/peer/migration.ts';
import { isOnNetwork } from '../../protocol/network-file.ts';
import type { QmpClient } from './qmp/client.ts';
import { childNames, driveList, driveName, graphAnswer, type Drive } from './snapshot/parts.ts';
import { openings } from './spec/disks/disks-argv.ts';
import type { BlockNode } from './spec/disks/disk-schema.ts';

export interface DriveOwner {
  readonly host: string;
  readonly guest: string;
}

type Monitor = Pick<QmpClient, 'query' | 'execute'>;

export interface DriveMedium {
  readonly drive: string;
  readonly nodes: readonly object[];
  readonly top?: string;
}

/**
 * `nodes`: in the form that this host opens. `files`: each node's path here. Throws GODWIT_DISK_MISSING if a
 * medium cannot be carried over: the source still has it open, so only images that the guest does not write to
 * can be. Pure.
 */
export function describeMedia(
  { host, guest }: DriveOwner,
  drives: readonly string[],
  disks: NonNullable<GuestDescription['disks']>,
  nodes: readonly BlockNode[],
  files: ReadonlyMap<string, string>,
): DriveMedium[] {
  return drives.map((drive) => {
    const images = disks.find(({ name }) => name === drive)?.images;
    if (images === undefined) return { drive, nodes: [] };
    const chain = nodes.filter(({ node }) => images.some((each) => each.node === node));
    const own = chain.flatMap((each) => {
      const file = files.get(each.node) ?? '';
      const reason = whyNot(each, file);
      if (reason !== undefined)
        throw godwitError('GODWIT_DISK_MISSING', { host, guest, device: drive, reason });
      return openings(each, file);
    });
    const last = chain.at(-1);
    if (last === undefined) return { drive, nodes: [] };
    return { drive, nodes: own, top: last.filters?.at(-1)?.node ?? last.node };
  });
}

function whyNot({ node, readOnly, luks }: BlockNode, file: string): string | undefined {
  if (file === '') return `no place is known for its image ${node}`;
  if (isOnNetwork(file)) return 'a medium that QEMU reaches by its own client is not changed';
  if (!readOnly) return 'the guest may write to its medium';
  return luks === true ? 'its medium is encrypted' : undefined;
}

/** Can be repeated: it removes the present medium first. */
export async function changeMedia(
  client: Monitor,
  { host, guest }: DriveOwner,
  media: readonly DriveMedium[],
  signal: AbortSignal,
): Promise<void> {
  const drives = await client.query('query-block', {}, driveList, signal);
  for (const medium of media) {
    const here = drives.find((each) => driveName(each) === medium.drive);
    if (here?.qdev === undefined || !here.removable) {
      const reason = 'it has no such drive for media';
      throw godwitError('GODWIT_DISK_MISSING', { host, guest, device: medium.drive, reason });
    }
    await changeMedium(client, here, medium, signal);
  }
}

async function changeMedium(
  client: Monitor,
  { qdev: id, inserted }: Drive,
  { nodes, top }: DriveMedium,
  signal: AbortSignal,
): Promise<void> {
  const order = (command: string, args: object): Promise<unknown> =>
    client.execute(command, args, signal);
  // The guest's tray lock arrives with the device state.
  await order('blockdev-open-tray', { id, force: true });
  if (inserted !== undefined) {
    await order('blockdev-remove-medium', { id });
    await removeNodes(client, inserted['node-name'], signal);
  }
  for (const node of nodes) await order('blockdev-add', node);
  if (top !== undefined) await order('blockdev-insert-medium', { id, 'node-name': top });
  // The stream carries an open tray, but not a closed one.
  await order('blockdev-close-tray', { id });
}

/** A node name that stays in use would block the new medium. */
async function removeNodes(client: Monitor, top: string, signal: AbortSignal): Promise<void> {
  const below = childNames(
    await client.query('x-debug-query-block-graph', {}, graphAnswer, signal),
  );
  const remove = async (name: string): Promise<void> => {
    await client.execute('blockdev-del', { 'node-name': name }, signal);
    for (const child of below.get(name) ?? []) await remove(child);
  };
  await remove(top);
}
