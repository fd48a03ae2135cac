import path from 'node:path';
import { godwitError } from '../../errors.ts';
import type { Disk, Place } from '../../protocol/disk.ts';
import { formatBytes } from '../../protocol/quantity.ts';
import type { Check } from '../../protocol/migration.ts';
import { locate, openPools } from '../../storage/pools.ts';
import type { Located } from '../../storage/pools.ts';
import { proofFile, readProof, removeProof, verdictOf, writeProof } from '../../storage/proof.ts';
import { ask } from './parts.ts';
import type { SourceParts } from './parts.ts';

/** What was found of a guest's disks: where the destination has each image, which it has not, and the evidence. */
export interface StorageFound {
  readonly places: readonly Place[];
  /** Images that have to be copied, where they lie here, and their files. */
  readonly copies: readonly Place[];
  readonly copied: readonly string[];
  /** Images that the guest only reads, which have to be found or sent: where they lie here. */
  readonly bases: readonly Place[];
  readonly checks: readonly Check[];
}

/** An image with the way it is known by here. */
interface Image {
  readonly node: string;
  readonly disk: string;
  readonly file: string;
  readonly located: Located;
  /** On this host, without symbolic links. */
  readonly directory: string;
}

/** What a directory's proof came to. */
type Proof = { readonly pool: string } | { readonly why: string };

const NOTHING: StorageFound = { places: [], copies: [], copied: [], bases: [], checks: [] };
const ANSWER_MS = 10_000;

/**
 * Proves for each image of the guest's disks that both hosts see the same storage, and finds out where it is there.
 * What was written for that is gone when this settles.
 */
export async function proveStorage(parts: SourceParts, signal: AbortSignal): Promise<StorageFound> {
  const { guest, config } = parts;
  const { description, files = {}, uncopyable = {} } = await guest.inspect(signal);
  const { disks = [] } = description;
  if (disks.length === 0) return NOTHING;
  const pools = await openPools(config.storage);
  const images: Image[] = [];
  const refused: Check[] = [];
  for (const { node, disk } of imagesOf(disks)) {
    const file = files[node] ?? '';
    const located = await locate(pools, file);
    if ('problem' in located) {
      refused.push(notShared(parts, { disk, file }, `on ${config.name} ${located.problem}`));
      continue;
    }
    const real = path.join(located.found.pool.root, located.found.path);
    const directory = path.dirname(real);
    images.push({ node, disk, file, located: located.found, directory });
  }
  if (refused.length > 0) return { ...NOTHING, checks: refused };
  return judge(parts, { disks, images, uncopyable }, await prove(parts, images, signal));
}

/** Each image once: disks may share a backing file. */
function imagesOf(disks: readonly Disk[]): { node: string; disk: string }[] {
  const seen = new Map<string, string>();
  for (const { name, images } of disks) {
    for (const { node } of images) if (!seen.has(node)) seen.set(node, name);
  }
  return [...seen].map(([node, disk]) => ({ node, disk }));
}

/** By directory. */
async function prove(
  parts: SourceParts,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  const { request, config } = parts;
  const { to } = parts.state().plan;
  const from = config.name;
  const name = proofFile(request.id);
  const proofs = new Map<string, Proof>();
  const written: { directory: string; inPool: string; nonce: string }[] = [];
  try {
    for (const { directory, located } of images) {
      if (proofs.has(directory) || written.some((each) => each.directory === directory)) continue;
      try {
        const nonce = await writeProof(directory, name);
        const inPool = path.relative(located.pool.root, directory);
        written.push({ directory, inPool, nonce });
      } catch (error) {
        proofs.set(directory, { why: `${from} cannot write beside it: ${String(error)}` });
      }
    }
    const places = written.map(({ inPool }) => ({ directory: inPool, file: name }));
    const body = { places };
    const answer = await ask(parts, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    for (const [index, { directory, nonce }] of written.entries()) {
      const told = answer.places[index] ?? {};
      const verdict = verdictOf(nonce, told, await readProof(directory, name), { from, to });
      const why = verdict.shared ? undefined : verdict.why;
      proofs.set(directory, why === undefined ? { pool: told.pool ?? '' } : { why });
    }
    return proofs;
  } finally {
    for (const { directory } of written) await removeProof(directory, name);
  }
}

interface Judged {
  readonly disks: readonly Disk[];
  readonly images: readonly Image[];
  /** Why a copy of an image would not be the same, by block node. */
  readonly uncopyable: Readonly<Record<string, string>>;
}

function judge(
  parts: SourceParts,
  { disks, images, uncopyable }: Judged,
  proofs: ReadonlyMap<string, Proof>,
): StorageFound {
  const { from, to } = parts.state().plan;
  const places: Place[] = [];
  const copies: Place[] = [];
  const bases: Place[] = [];
  const checks: Check[] = [];
  for (const image of images) {
    const { node, located } = image;
    const proof = proofs.get(image.directory) ?? { why: 'nothing was tried' };
    const lost = uncopyable[node];
    const here = { node, pool: located.pool.id, path: located.path };
    if (!('why' in proof)) places.push({ node, pool: proof.pool, path: located.path });
    // As a file, whatever its format: nobody writes to it.
    else if (!isWritten(disks, node)) bases.push(here);
    else if (lost !== undefined) checks.push(notShared(parts, image, `${proof.why}; ${lost}`));
    else copies.push(here);
  }
  if (checks.length > 0) return { ...NOTHING, checks };
  for (const { name, images: chain } of disks) {
    const files = chain.map(({ node }) => images.find((each) => each.node === node)?.file ?? '');
    const isCopied = copies.some(({ node }) => node === chain[0]?.node);
    const lower = chain
      .map(({ node }) => node)
      .filter((node) => bases.some((each) => each.node === node));
    const isShared = !isCopied && lower.length < chain.length;
    const how = [
      ...(isCopied ? [`not on storage that ${to} sees: it is copied while the guest runs`] : []),
      ...(isShared ? [`${from} and ${to} each read what the other wrote beside it`] : []),
      ...(lower.length > 0
        ? [`sent first, where ${to} has none like it: ${lower.join(', ')}`]
        : []),
    ].join('; ');
    const evidence = `${name}: ${sizesOf(chain)}, ${files.join(' on ')}: ${how}`;
    const side = isShared ? 'both' : 'source';
    checks.push({ name: 'disks', side, verdict: 'pass', evidence: evidence.slice(0, 4096) });
  }
  const copied = images
    .filter(({ node }) => copies.some((copy) => copy.node === node))
    .map(({ located }) => path.join(located.pool.root, located.path));
  return { places, copies, copied, bases, checks };
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
  parts: SourceParts,
  { disk, file }: Pick<Image, 'disk' | 'file'>,
  reason: string,
): Check {
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
  const pools = await openPools(config.storage);
  for (const file of Object.values(files)) {
    const located = await locate(pools, file);
    if ('problem' in located) continue;
    const directory = path.dirname(path.join(located.found.pool.root, located.found.path));
    await removeProof(directory, proofFile(request.id));
  }
}
