import {
  nonceSum,
  proofFile,
  verdictOf,
  type Beside,
  type Verdict,
} from '../../../../disks/proof/proof.ts';
import { hasCommonNumbers } from '../../../../migration/image-identity.ts';
import { defined } from '../../../../protocol/defined.ts';
import type {
  DeviceAnswer,
  DeviceProof,
  ProofAnswer,
  ProofPlace,
} from '../../../../protocol/disk.ts';
import { proveMedia, type MediumVerdict } from '../../../shared/media.ts';
import { directoryOf, type Lying } from './find-images.ts';
import { askAhead, type LookDependencies } from '../source-base.ts';

/** Proves that both hosts see the storage of a guest's images: each directory and each medium. */

export interface Image {
  readonly node: string;
  readonly disk: string;
  readonly file: string;
  readonly located: Lying;
}

export type Proof =
  /** `numbers`: both hosts use the same inode numbers for it. */
  | { readonly pool: string; readonly path?: string; readonly numbers?: true }
  | { readonly why: string; readonly readOnly?: true };

export interface ToProve {
  readonly directory: string;
  readonly beside: Beside;
  readonly place: Omit<ProofPlace, 'file' | 'sum'>;
}

const ANSWER_MS = 10_000;

/** Proves images on media. */
export async function provenMedia(
  context: LookDependencies,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, MediumVerdict>> {
  const media = new Map(
    images.flatMap(({ located: { directory, proof } }) =>
      'medium' in proof ? [[directory, proof.medium] as const] : [],
    ),
  );
  if (media.size === 0) return new Map();
  const ask = async (devices: readonly DeviceProof[]): Promise<readonly DeviceAnswer[]> => {
    const body = { places: [], devices: [...devices] };
    const answer = await askAhead(context, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    return answer.devices ?? [];
  };
  const ends = {
    from: context.config.name,
    to: context.state().plan.to,
    migration: context.request.id,
  };
  return proveMedia(media, ends, ask, signal);
}

/** Proves images in directories. */
export function prove(
  context: LookDependencies,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  const all = images.flatMap(({ located: { directory, proof, path, client } }): ToProve[] => {
    if ('medium' in proof) return [];
    const nfs = client === 'nfs' ? { nfs: true as const } : {};
    return [{ directory, beside: proof.beside, place: { directory: directoryOf(path), ...nfs } }];
  });
  return proveDirectories(context, all, signal);
}

/**
 * Proves each directory once. Two paths may lead to one directory, which has room for one proof at a time, so the
 * second path is proved after the first.
 */
export async function proveDirectories(
  context: LookDependencies,
  all: readonly ToProve[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  const proofs = new Map<string, Proof>();
  let waiting = all;
  while (waiting.length > 0) {
    const later: ToProve[] = [];
    const found = await proveTogether(context, waiting, (each) => later.push(each), signal);
    for (const [directory, proof] of found) proofs.set(directory, proof);
    waiting = later;
  }
  return proofs;
}

async function proveTogether(
  context: LookDependencies,
  all: readonly ToProve[],
  wait: (each: ToProve) => void,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  const { request, config } = context;
  const { to } = context.state().plan;
  const from = config.name;
  const name = proofFile(request.id);
  const proofs = new Map<string, Proof>();
  const written = new Map<string, ToProve & { readonly nonce: string }>();
  try {
    for (const each of all) {
      const { directory, beside } = each;
      if (proofs.has(directory) || written.has(directory)) continue;
      if (written.size > 0 && (await holdsOneOf(written, beside, name, signal))) {
        wait(each);
        continue;
      }
      try {
        const nonce = await beside.write(name, signal);
        written.set(directory, { ...each, nonce });
      } catch (error) {
        // It may have been made even if the answer was lost.
        await beside.remove(name, AbortSignal.timeout(ANSWER_MS)).catch(() => {});
        signal.throwIfAborted();
        proofs.set(directory, { why: `${from} cannot write beside it: ${String(error)}` });
      }
    }
    const places = [...written.values()].map(({ place, nonce }) => {
      return { ...place, file: name, sum: nonceSum(nonce) };
    });
    if (places.length === 0) return proofs;
    const body = { places };
    const answer = await askAhead(context, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    for (const [index, [directory, { beside, nonce, place }]] of [...written].entries()) {
      const seen = answer.places[index] ?? {};
      const readBack = await beside.read(name, signal).catch(() => '');
      signal.throwIfAborted();
      const verdict = verdictOf(nonce, seen, readBack, { from, to });
      const proof = proofOf(verdict, place, seen, to);
      const here = await beside.inode?.(name, signal).catch(() => undefined);
      const isNumbered = 'pool' in proof && hasCommonNumbers(here, seen.inode);
      proofs.set(directory, isNumbered ? { ...proof, numbers: true } : proof);
    }
    return proofs;
  } finally {
    // Even after a cancel, nothing may stay.
    const own = AbortSignal.timeout(ANSWER_MS);
    for (const [directory, { beside }] of written) {
      await beside.remove(name, own).catch((error: unknown) => {
        proofs.set(directory, {
          why: `${from} cannot remove what it wrote beside it: ${String(error)}`,
        });
      });
    }
  }
}

/** True if a proof that was just written through another path is there. */
async function holdsOneOf(
  written: ReadonlyMap<string, { readonly nonce: string }>,
  beside: Beside,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const there = await beside.read(name, signal).catch(() => '');
  signal.throwIfAborted();
  return [...written.values()].some(({ nonce }) => nonce === there);
}

function proofOf(
  verdict: Verdict,
  { volume }: ToProve['place'],
  seen: ProofAnswer,
  to: string,
): Proof {
  if (!verdict.shared) {
    const { why, readOnly } = verdict;
    return { why, ...defined({ readOnly }) };
  }
  // The id would name a directory with images, and not a volume.
  if (volume === true && seen.volume !== true)
    return { why: `${to} is of an earlier build, which mounts no volume as it is` };
  return { pool: seen.pool ?? '' };
}
