import { proofFile, verdictOf } from '../../../disks/proof/proof.ts';
import type { Beside } from '../../../disks/proof/proof.ts';
import type { DeviceAnswer, DeviceProof } from '../../../protocol/disk.ts';
import { proveMedia } from './media.ts';
import type { MediumVerdict } from './media.ts';
import { directoryOf, finder } from './find-images.ts';
import type { Lying } from './find-images.ts';
import { askAhead } from './source-context.ts';
import type { LookDependencies, SourceContext } from './source-context.ts';

/** Proofs that both hosts see the storage of a guest's images: in each directory, and of each medium. */

/** An image with the way it is known by here. */
export interface Image {
  readonly node: string;
  readonly disk: string;
  readonly file: string;
  readonly located: Lying;
}

/** What a directory's proof came to. */
export type Proof = { readonly pool: string; readonly path?: string } | { readonly why: string };

const ANSWER_MS = 10_000;

/** By the medium. */
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

/** By directory. */
export async function prove(
  context: LookDependencies,
  images: readonly Image[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Proof>> {
  const { request, config } = context;
  const { to } = context.state().plan;
  const from = config.name;
  const name = proofFile(request.id);
  const proofs = new Map<string, Proof>();
  const written = new Map<string, { image: Lying; beside: Beside; nonce: string }>();
  try {
    for (const { located } of images) {
      const { directory, proof } = located;
      if ('medium' in proof || proofs.has(directory) || written.has(directory)) continue;
      const { beside } = proof;
      try {
        const nonce = await beside.write(name, signal);
        written.set(directory, { image: located, beside, nonce });
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
      ...(image.client === 'nfs' ? { nfs: true as const } : {}),
    }));
    if (places.length === 0) return proofs;
    const body = { places };
    const answer = await askAhead(context, signal, (api) =>
      api.storage({ body }, { signal, deadlineMs: ANSWER_MS }),
    );
    for (const [index, [directory, { beside, nonce }]] of [...written].entries()) {
      const seen = answer.places[index] ?? {};
      const readBack = await beside.read(name, signal).catch(() => '');
      signal.throwIfAborted();
      const verdict = verdictOf(nonce, seen, readBack, { from, to });
      const why = verdict.shared ? undefined : verdict.why;
      proofs.set(directory, why === undefined ? { pool: seen.pool ?? '' } : { why });
    }
    return proofs;
  } finally {
    // Also where the migration was cancelled meanwhile: nothing is to stay.
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

/** Removes what a mover that died in the midst of a proof has left. */
export async function dropProofs(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { guest, config, request, state } = context;
  if (state().known.description?.disks === undefined) return;
  const { files = {} } = await guest.inspect(signal);
  const find = await finder(config);
  for (const file of Object.values(files)) {
    const located = await find(file, signal);
    if ('problem' in located) continue;
    const { proof } = located.found;
    if ('medium' in proof) await proof.medium.drop?.(request.id, signal);
    else await proof.beside.remove(proofFile(request.id), signal);
  }
}
