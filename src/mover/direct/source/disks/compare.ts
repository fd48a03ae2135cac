import { existsSync } from 'node:fs';
import path from 'node:path';
import { withDeadline } from '../../../../deadline.ts';
import {
  compareImage,
  type FarImage,
  type ImageCheck,
} from '../../../../disks/copy/compare/compare.ts';
import type { FrozenImage } from '../../../../port/disks.ts';
import { godwitError, type SerialError } from '../../../../errors.ts';
import type { DiskCheck } from '../../../../protocol/disk.ts';
import { CHUNK_BYTES, PIECE_BYTES } from '../../../../protocol/peer/disk-check.ts';
import { asideOf } from '../../../../disks/proof/made-files.ts';
import { ask } from '../source-base.ts';
import type { StepContext } from '../ports.ts';

const ANSWER_MS = 60_000;

type CompareContext = StepContext<'peer' | 'hypervisor' | 'host'>;

/**
 * Compares the source's images, which no program writes to any more, with the copies as of the switchover. Undefined
 * if not requested; errors are reported, and fail nothing.
 */
export async function compareDisks(
  context: CompareContext,
  signal: AbortSignal,
): Promise<DiskCheck | undefined> {
  const { plan, known } = context.state();
  const images = imagesOf(context);
  if (plan.settings.verifyDisks !== true || images.length === 0) return undefined;
  if (known.diskCheck !== undefined) return known.diskCheck;
  const began = performance.now();
  let check: Omit<DiskCheck, 'tookMs'>;
  try {
    const { timeoutMs } = plan.settings;
    const found = await withDeadline('comparing the disks', timeoutMs, signal, (inner) =>
      compareAll(context, images, inner),
    );
    check = verdictOf(context, found);
  } catch (thrown) {
    signal.throwIfAborted();
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    const error = unverified(context, reason);
    const none = { comparedBytes: 0, excludedBytes: 0, differentBytes: 0 };
    check = { verdict: 'unverified', ...none, error };
  }
  const made = { ...check, tookMs: performance.now() - began };
  context.dispatch({ type: 'compared', check: made });
  return made;
}

function imagesOf({ state, request }: CompareContext): FrozenImage[] {
  const { copies = [], copied = [], below = [], identities = {}, description } = state().known;
  const chains = (description?.disks ?? []).map((disk) => disk.images);
  return copies.map(({ node }, index) => {
    const file = copied[index] ?? '';
    const aside = asideOf(file, request.id);
    const [top, ...lower] = chains.find(([image]) => image?.node === node) ?? [];
    const files = below[index] ?? [];
    return {
      node,
      file: existsSync(file) ? file : aside,
      ...knownAs(identities[node]),
      format: top?.format ?? 'raw',
      below: lower.map(({ node: own, format }, level) => ({
        file: files[level] ?? '',
        ...knownAs(identities[own]),
        format,
      })),
    };
  });
}

function knownAs(identity: string | undefined): { readonly identity?: string } {
  return identity === undefined ? {} : { identity };
}

interface NodeImageCheck extends ImageCheck {
  readonly node: string;
}

async function compareAll(
  context: CompareContext,
  images: readonly FrozenImage[],
  signal: AbortSignal,
): Promise<NodeImageCheck[]> {
  const directory = path.join(context.host.dir, 'compare');
  const { NbdClient } = await import('../../../../disks/copy/nbd/client.ts');
  return context.hypervisor.frozen(images, directory, signal, async (socket, inner) => {
    const found: NodeImageCheck[] = [];
    for (const { node } of images) {
      const near = await NbdClient.open(socket, node, inner);
      try {
        found.push({ node, ...(await compareImage(near, farOf(context, node, inner), inner)) });
      } finally {
        near.close();
      }
    }
    return found;
  });
}

function farOf(context: CompareContext, node: string, signal: AbortSignal): FarImage {
  const { epoch } = context.state().plan;
  const within = { signal, deadlineMs: ANSWER_MS };
  return {
    differ: async (unit, from, hashes) => {
      const sized = unit === CHUNK_BYTES ? CHUNK_BYTES : PIECE_BYTES;
      const body = { epoch, node, unit: sized, from, hashes: [...hashes] };
      return ask(context, signal, (api) => api.disksCompare({ body }, within));
    },
    rewritten: async (pieces, anew) => {
      const body = { epoch, node, anew, pieces: [...pieces] };
      return (await ask(context, signal, (api) => api.disksRewritten({ body }, within))).rewritten;
    },
  };
}

function verdictOf(
  context: CompareContext,
  found: readonly NodeImageCheck[],
): Omit<DiskCheck, 'tookMs'> {
  const sum = (of: (each: NodeImageCheck) => number): number =>
    found.reduce((all, each) => all + of(each), 0);
  const figures = {
    comparedBytes: sum((each) => each.comparedBytes),
    excludedBytes: sum((each) => each.excludedBytes),
    differentBytes: sum((each) => each.differentBytes),
  };
  const first = found.find(({ firstAt }) => firstAt !== undefined);
  if (first?.firstAt === undefined) return { verdict: 'equal', ...figures };
  const { node, firstAt: at } = first;
  const { guest, to: host } = context.state().plan;
  const error = godwitError('GODWIT_DISK_DIFFERS', { guest, device: node, host, at }).toJSON();
  return { verdict: 'different', ...figures, first: { node, at }, error };
}

function unverified(context: CompareContext, reason: string): SerialError {
  const { guest, to: host } = context.state().plan;
  return godwitError('GODWIT_DISK_UNVERIFIED', { guest, host, reason }).toJSON();
}
