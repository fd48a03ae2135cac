import path from 'node:path';
import { proofFile, verdictOf } from '../../../disks/proof/proof.ts';
import { godwitError } from '../../../errors.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { DeviceAnswer, DeviceProof, Disk, ImagePlace } from '../../../protocol/disk.ts';
import { formatBytes } from '../../../protocol/quantity.ts';
import { proveDevices } from './devices.ts';
import type { DeviceVerdict } from './devices.ts';
import { directoryOf, finder } from './find-images.ts';
import type { Lying } from './find-images.ts';
import { askAhead } from './parts.ts';
import type { LookParts, SourceParts } from './parts.ts';

/** What was found of a guest's disks: where the destination has each image, which it has not, and the evidence. */
export interface StorageFound {
  readonly places: readonly ImagePlace[];
  /** Images that have to be copied, where they lie here, and their files. */
  readonly copies: readonly ImagePlace[];
  readonly copied: readonly string[];
  /** The backing files of each of those, the nearest first. */
  readonly below: readonly (readonly string[])[];
  /** Images that the guest only reads, which have to be found or sent: where they lie here. */
  readonly bases: readonly ImagePlace[];
  readonly checks: readonly NamedCheck[];
}

/** An image with the way it is known by here. */
interface Image {
  readonly node: string;
  readonly disk: string;
  readonly file: string;
  readonly located: Lying;
}

/** What a directory's proof came to. */
type Proof = { readonly pool: string; readonly path?: string } | { readonly why: string };

const NOTHING: StorageFound = {
  places: [],
  copies: [],
  copied: [],
  below: [],
  bases: [],
  checks: [],
};
const ANSWER_MS = 10_000;

/**
 * Proves for each image of the guest's disks that both hosts see the same storage, and finds out where it is there.
 * What was written for that is gone when this settles.
 */
export async function proveStorage(parts: LookParts, signal: AbortSignal): Promise<StorageFound> {
  const { guest, config } = parts;
  const { description, files = {}, uncopyable = {} } = await guest.inspect(signal);
  const { disks = [] } = description;
  if (disks.length === 0) return NOTHING;
  const find = await finder(config);
  const images: Image[] = [];
  const refused: NamedCheck[] = [];
  for (const { node, disk } of imagesOf(disks)) {
    const file = files[node] ?? '';
    const located = await find(file, signal);
    if ('problem' in located) {
      refused.push(notShared(parts, { disk, file }, `on ${config.name} ${located.problem}`));
      continue;
    }
    images.push({ node, disk, file, located: located.found });
  }
  if (refused.length > 0) return { ...NOTHING, checks: refused };
  const proofs = new Map([
    ...(await prove(
      parts,
      images.filter(({ located }) => !located.device),
      signal,
    )),
    ...(await provenDevices(parts, images, signal)),
  ]);
  return judge(parts, { disks, images, uncopyable }, proofs);
}

/** Each image once: disks may share a backing file. */
function imagesOf(disks: readonly Disk[]): { node: string; disk: string }[] {
  const seen = new Map<string, string>();
  for (const { name, images } of disks) {
    for (const { node } of images) if (!seen.has(node)) seen.set(node, name);
  }
  return [...seen].map(([node, disk]) => ({ node, disk }));
}

/** By the device. */
async function provenDevices(
  parts: LookParts,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, DeviceVerdict>> {
  const files = images.flatMap(({ located }) => (located.device ? [located.directory] : []));
  if (files.length === 0) return new Map();
  const ask = async (devices: readonly DeviceProof[]): Promise<readonly DeviceAnswer[]> => {
    const body = { places: [], devices: [...devices] };
    const answer = await askAhead(parts, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    return answer.devices ?? [];
  };
  const ends = { from: parts.config.name, to: parts.state().plan.to, migration: parts.request.id };
  return proveDevices(files, ends, ask, signal);
}

/** By directory. */
async function prove(
  parts: LookParts,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  if (images.length === 0) return new Map();
  const { request, config } = parts;
  const { to } = parts.state().plan;
  const from = config.name;
  const name = proofFile(request.id);
  const proofs = new Map<string, Proof>();
  const written = new Map<string, { image: Lying; nonce: string }>();
  try {
    for (const { located } of images) {
      const { directory, beside } = located;
      if (proofs.has(directory) || written.has(directory)) continue;
      try {
        written.set(directory, { image: located, nonce: await beside.write(name, signal) });
      } catch (error) {
        // It may have been made, and only its answer have got lost.
        await beside.remove(name, AbortSignal.timeout(ANSWER_MS)).catch(() => {});
        signal.throwIfAborted();
        proofs.set(directory, { why: `${from} cannot write beside it: ${String(error)}` });
      }
    }
    const places = [...written.values()].map(({ image }) => ({
      directory: directoryOf(image.path),
      file: name,
      ...(image.nfs ? { nfs: true as const } : {}),
    }));
    const body = { places };
    const answer = await askAhead(parts, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    for (const [index, [directory, { image, nonce }]] of [...written].entries()) {
      const seen = answer.places[index] ?? {};
      const readBack = await image.beside.read(name, signal).catch(() => '');
      signal.throwIfAborted();
      const verdict = verdictOf(nonce, seen, readBack, { from, to });
      const why = verdict.shared ? undefined : verdict.why;
      proofs.set(directory, why === undefined ? { pool: seen.pool ?? '' } : { why });
    }
    return proofs;
  } finally {
    // Also where the migration was cancelled meanwhile: nothing is to stay.
    const own = AbortSignal.timeout(ANSWER_MS);
    for (const [directory, { image }] of written) {
      await image.beside.remove(name, own).catch((error: unknown) => {
        proofs.set(directory, {
          why: `${from} cannot remove what it wrote beside it: ${String(error)}`,
        });
      });
    }
  }
}

interface Judged {
  readonly disks: readonly Disk[];
  readonly images: readonly Image[];
  /** Why a copy of an image would not be the same, by block node. */
  readonly uncopyable: Readonly<Record<string, string>>;
}

function judge(
  parts: LookParts,
  { disks, images, uncopyable }: Judged,
  proofs: ReadonlyMap<string, Proof>,
): StorageFound {
  const { from, to } = parts.state().plan;
  const places: ImagePlace[] = [];
  const copies: ImagePlace[] = [];
  const bases: ImagePlace[] = [];
  const checks: NamedCheck[] = [];
  for (const image of images) {
    const { node, located } = image;
    const proof = proofs.get(located.directory) ?? { why: 'nothing was tried' };
    const lost = whyUncopied(image, disks) ?? uncopyable[node];
    const here = { node, pool: located.pool.id, path: located.path };
    if (!('why' in proof))
      places.push({ node, pool: proof.pool, path: proof.path ?? located.path });
    // As a file, whatever its format: nobody writes to it.
    else if (!isWritten(disks, node) && !located.nfs && !located.device) bases.push(here);
    else if (lost !== undefined) checks.push(notShared(parts, image, `${proof.why}; ${lost}`));
    else copies.push(here);
  }
  if (checks.length > 0) return { ...NOTHING, checks };
  // Of a device one may think that both hosts see it.
  const whyOf = ([top]: Disk['images']): string => {
    const at = images.find(({ node }) => node === top?.node)?.located;
    const proof = at?.device === true ? proofs.get(at.directory) : undefined;
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
        ({ node, located }) => located.nfs && chain.some((each) => each.node === node),
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

/** Why it cannot be copied, by where it lies. */
function whyUncopied({ node, located }: Image, disks: readonly Disk[]): string | undefined {
  if (located.nfs) return 'what lies on an NFS export is not copied';
  return located.device && !isWritten(disks, node)
    ? 'a device that the guest only reads is not copied'
    : undefined;
}

function howShared(
  images: readonly Image[],
  chain: Disk['images'],
  { from, to }: { readonly from: string; readonly to: string },
): string {
  const own = images.filter((each) => chain.some(({ node }) => node === each.node));
  return own.some(({ located }) => located.device)
    ? `${from} and ${to} see a device of the same ids and size, and read the same from it`
    : `${from} and ${to} each read what the other wrote beside it`;
}

/** Where the backing files of a disk's top image lie here. */
function belowOf(top: string, disks: readonly Disk[], images: readonly Image[]): string[] {
  const [, ...lower] = disks.find(({ images: chain }) => chain[0]?.node === top)?.images ?? [];
  return lower.map(({ node }) => images.find((each) => each.node === node)?.file ?? '');
}

/** The guest writes to it: while it runs, it is copied through its hypervisor. */
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
  parts: LookParts,
  { disk, file }: Pick<Image, 'disk' | 'file'>,
  reason: string,
): NamedCheck {
  const { guest } = parts.request.request;
  const error = godwitError('GODWIT_DISK_LOCAL', { device: disk, guest, file, reason });
  return {
    name: 'disks',
    side: 'both',
    verdict: 'refuse',
    evidence: error.message,
    error: error.toJSON(),
  };
}

/** Removes what a mover that died in the midst of a proof has left. */
export async function dropProofs(parts: SourceParts, signal: AbortSignal): Promise<void> {
  const { guest, config, request, state } = parts;
  if (state().known.description?.disks === undefined) return;
  const { files = {} } = await guest.inspect(signal);
  const find = await finder(config);
  for (const file of Object.values(files)) {
    const located = await find(file, signal);
    if ('problem' in located || located.found.device) continue;
    await located.found.beside.remove(proofFile(request.id), signal);
  }
}
