import path from 'node:path';
import { proofFile } from '../../../../disks/proof/proof.ts';
import { godwitError } from '../../../../errors.ts';
import { fileUsers } from '../../../../system/files/file-users.ts';
import { inodeIn, judgeUsers, type LeavingImage } from '../../../../migration/image-identity.ts';
import type { NamedCheck } from '../../../../migration/preflight/check.ts';
import type { Disk, ImagePlace } from '../../../../protocol/disk.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import { finder, type Lying } from './find-images.ts';
import type { LookDependencies } from '../source-base.ts';
import { prove, provenMedia, type Image, type Proof } from './proofs.ts';
import { locatedVolumes, proveVolumes } from './volumes.ts';

/** Places of a guest's disks or volumes at the destination, missing images, and evidence. */
export interface StorageFound {
  readonly places: readonly ImagePlace[];
  readonly copies: readonly ImagePlace[];
  readonly copied: readonly string[];
  /** Backing files of these, nearest first. */
  readonly below: readonly (readonly string[])[];
  /** Read-only images to find or send, with their places here. */
  readonly bases: readonly ImagePlace[];
  readonly checks: readonly NamedCheck[];
}

export const NOTHING: StorageFound = {
  places: [],
  copies: [],
  copied: [],
  below: [],
  bases: [],
  checks: [],
};

/**
 * Proves for each disk image or container volume whether both hosts see the same storage, and finds its place there.
 * Proof files are removed when this settles.
 */
export async function proveStorage(
  deps: LookDependencies,
  signal: AbortSignal,
): Promise<StorageFound> {
  const { guest, config } = deps;
  const {
    description,
    files = {},
    uncopyable = {},
    volumes = [],
    identities = {},
  } = await guest.inspect(signal);
  const { disks = [] } = description;
  if (volumes.length > 0) return { ...NOTHING, ...(await proveVolumes(deps, volumes, signal)) };
  if (disks.length === 0) return NOTHING;
  const find = await finder(config);
  const images: Image[] = [];
  const refused: NamedCheck[] = [];
  for (const { node, disk } of imagesOf(disks)) {
    const file = files[node] ?? '';
    const located = await find(file, signal, isWritten(disks, node));
    if ('problem' in located) {
      const hint = located.isGone === true ? GONE_HINT : undefined;
      const reason = `on ${config.name} ${located.problem}`;
      refused.push(notShared(deps, { disk, file }, reason, hint));
      continue;
    }
    images.push({ node, disk, file, located: located.found });
  }
  if (refused.length > 0) return { ...NOTHING, checks: refused };
  const proofs = new Map<string, Proof>([
    ...(await prove(deps, images, signal)),
    ...(await provenMedia(deps, images, signal)),
  ]);
  const found = judge(deps, { disks, images, uncopyable, identities }, proofs);
  const users = await usersOfLeaving(deps, { images, identities }, found, signal);
  return { ...found, checks: [...found.checks, ...users] };
}

async function usersOfLeaving(
  { guest, request }: LookDependencies,
  { images, identities }: Pick<StorageJudgement, 'images' | 'identities'>,
  { copies, bases }: StorageFound,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const leaving = images.flatMap(({ node, disk: device, file }): LeavingImage[] => {
    const identity = identities[node];
    const isCopied = copies.some((each) => each.node === node);
    if (!isCopied && !bases.some((each) => each.node === node)) return [];
    return [{ node, device, file, identity, how: isCopied ? 'copied' : 'read' }];
  });
  if (leaving.length === 0) return [];
  const { pid } = guest.countedBy ?? {};
  const asked = {
    identities: leaving.flatMap(({ identity }) => identity ?? []),
    except: pid === undefined ? [] : [pid],
  };
  const found = judgeUsers(request.request.guest, leaving, await fileUsers(asked, signal));
  return found.map((each) => ({ name: 'image-users', side: 'source', ...each }));
}

const GONE_HINT =
  'The file was removed or renamed under the guest, which still has it open (/proc/PID/fd of its hypervisor). Put it back under that name; a disk can also be made whole without its backing file (`block-stream`) while the guest runs.';

/** Unique images; disks may share a backing file. */
function imagesOf(disks: readonly Disk[]): { node: string; disk: string }[] {
  const seen = new Map<string, string>();
  for (const { name, images } of disks) {
    for (const { node } of images) if (!seen.has(node)) seen.set(node, name);
  }
  return [...seen].map(([node, disk]) => ({ node, disk }));
}

interface StorageJudgement {
  readonly disks: readonly Disk[];
  readonly images: readonly Image[];
  /** Reason per block node, for images whose copy would differ. */
  readonly uncopyable: Readonly<Record<string, string>>;
  readonly identities: Readonly<Record<string, string>>;
}

function judge(
  deps: LookDependencies,
  { disks, images, uncopyable, identities }: StorageJudgement,
  proofs: ReadonlyMap<string, Proof>,
): StorageFound {
  const { from, to } = deps.state().plan;
  const places: ImagePlace[] = [];
  const copies: ImagePlace[] = [];
  const bases: ImagePlace[] = [];
  const checks: NamedCheck[] = [];
  for (const image of images) {
    const { node, located } = image;
    const proof = proofs.get(located.directory) ?? { why: 'nothing was tried' };
    const lost = whyUncopied(image, disks) ?? uncopyable[node];
    const here = { node, pool: located.pool.id, path: located.path };
    if (!('why' in proof)) {
      const own = located.inode ?? inodeIn(identities[node]);
      const inode = 'numbers' in proof ? own : undefined;
      const number = inode === undefined ? {} : { inode };
      places.push({ node, pool: proof.pool, path: proof.path ?? located.path, ...number });
    }
    // Sent as a file, whatever its format, because no program writes to it.
    else if (!isWritten(disks, node) && isFileHere(located)) bases.push(here);
    else if (lost !== undefined) checks.push(notShared(deps, image, `${proof.why}; ${lost}`));
    else copies.push('medium' in located.proof ? { ...here, onDevice: true } : here);
  }
  if (checks.length > 0) return { ...NOTHING, checks };
  // Both hosts might be expected to see a device.
  const whyOf = ([top]: Disk['images']): string => {
    const at = images.find(({ node }) => node === top?.node)?.located;
    const proof = at !== undefined && 'medium' in at.proof ? proofs.get(at.directory) : undefined;
    return proof !== undefined && 'why' in proof ? ` (${proof.why})` : '';
  };
  for (const { name, images: chain } of disks) {
    const files = chain.map(({ node }) => images.find((each) => each.node === node)?.file ?? '');
    const isCopied = copies.some(({ node }) => node === chain[0]?.node);
    const lower = chain
      .map(({ node }) => node)
      .filter((node) => bases.some((each) => each.node === node));
    const isShared = !isCopied && lower.length < chain.length;
    const how = [
      ...(isCopied
        ? [`not on storage that ${to} sees: it is copied while the guest runs${whyOf(chain)}`]
        : []),
      ...(isShared ? [howShared(images, chain, { from, to })] : []),
      ...(images.some(
        ({ node, located }) =>
          located.client !== undefined && chain.some((each) => each.node === node),
      )
        ? ['without image locks, so the right to run alone keeps others from writing']
        : []),
      ...(lower.length > 0
        ? [`sent first, where ${to} has none like it: ${lower.join(', ')}`]
        : []),
    ].join('; ');
    const evidence = `${name}: ${sizesOf(chain)}, ${files.join(' on ')}: ${how}`;
    const side = isShared ? 'both' : 'source';
    checks.push({ name: 'disks', side, verdict: 'pass', evidence: evidence.slice(0, 4096) });
  }
  const moved = images.filter(({ node }) => copies.some((copy) => copy.node === node));
  const copied = moved.map(({ located }) => path.join(located.pool.root, located.path));
  const below = moved.map(({ node }) => belowOf(node, disks, images));
  return { places, copies, copied, below, bases, checks };
}

function isFileHere({ client, proof }: Lying): boolean {
  return client === undefined && 'beside' in proof;
}

function whyUncopied({ node, located }: Image, disks: readonly Disk[]): string | undefined {
  if (located.client === 'nfs') return 'what lies on an NFS export is not copied';
  if (located.client === 'iscsi') return 'a LUN that the hypervisor opens by itself is not copied';
  if (located.client === 'rbd') return 'an image of RBD is not copied';
  return 'medium' in located.proof && !isWritten(disks, node)
    ? 'a device that the guest only reads is not copied'
    : undefined;
}

function howShared(
  images: readonly Image[],
  chain: Disk['images'],
  { from, to }: { readonly from: string; readonly to: string },
): string {
  const own = images.filter((each) => chain.some(({ node }) => node === each.node));
  if (own.some(({ located }) => located.client === 'iscsi')) {
    return `${from} and ${to} see a LUN of the same target, ids and size, and read the same from it`;
  }
  if (own.some(({ located }) => located.client === 'rbd')) {
    return `${from} and ${to} see one image of RBD, and each read what the other wrote into its metadata`;
  }
  return own.some(({ located }) => 'medium' in located.proof)
    ? `${from} and ${to} see a device of the same ids and size, and read the same from it`
    : `${from} and ${to} each read what the other wrote beside it`;
}

function belowOf(top: string, disks: readonly Disk[], images: readonly Image[]): string[] {
  const [, ...lower] = disks.find(({ images: chain }) => chain[0]?.node === top)?.images ?? [];
  return lower.map(({ node }) => images.find((each) => each.node === node)?.file ?? '');
}

/** The guest writes to it, so it is copied through its hypervisor. */
function isWritten(disks: readonly Disk[], node: string): boolean {
  return disks.some(({ images: [top] }) => top?.node === node && !top.readOnly);
}

function sizesOf([top]: Disk['images']): string {
  if (top === undefined) return '';
  const taken =
    top.allocatedBytes === undefined ? '' : ` (${formatBytes(top.allocatedBytes)} taken)`;
  return `${formatBytes(top.bytes)} ${top.format}${taken}${top.readOnly ? ', read-only' : ''}`;
}

function notShared(
  deps: LookDependencies,
  { disk, file }: Pick<Image, 'disk' | 'file'>,
  reason: string,
  hint?: string,
): NamedCheck {
  const { guest } = deps.request.request;
  const facts = { device: disk, guest, file, reason };
  const error = godwitError('GODWIT_DISK_LOCAL', facts, hint === undefined ? {} : { hint });
  return {
    name: 'disks',
    side: 'both',
    verdict: 'refuse',
    evidence: error.message,
    error: error.toJSON(),
  };
}

export async function dropProofs(
  { guest, config, request, state }: LookDependencies,
  signal: AbortSignal,
): Promise<void> {
  const { description } = state().known;
  if (description === undefined) return;
  const { files = {}, volumes = [] } = await guest.inspect(signal);
  for (const { proof } of (await locatedVolumes(config, volumes)).located)
    await proof.beside.remove(proofFile(request.id), signal);
  if (description.disks === undefined) return;
  const find = await finder(config);
  for (const file of Object.values(files)) {
    const located = await find(file, signal);
    if ('problem' in located) continue;
    const { proof } = located.found;
    if ('medium' in proof) await proof.medium.drop?.(request.id, signal);
    else await proof.beside.remove(proofFile(request.id), signal);
  }
}
