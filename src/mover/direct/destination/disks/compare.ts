import { rm } from 'node:fs/promises';
import path from 'node:path';
import { hashesOf } from '../../../../disks/copy/compare/chunks.ts';
import { NbdClient } from '../../../../disks/copy/nbd/client.ts';
import type { DiskWatch } from '../../../../port/disks.ts';
import type { DestinationSession } from '../../../../port/direct.ts';
import { godwitError } from '../../../../errors.ts';
import type { DestinationState } from '../../../../migration/direct/destination/destination.ts';
import {
  CHUNK_BYTES,
  PIECE_BYTES,
  type Comparison,
  type Rewriting,
} from '../../../../protocol/peer/disk-check.ts';
import type { DestinationContext } from '../destination-context.ts';

/** Reads the copied images while the guest writes to them, for the source's comparison. */
export class DestinationCompare {
  readonly #context: Pick<DestinationContext, 'config' | 'log'>;
  readonly #readers = new Map<string, NbdClient>();
  #viewed = false;

  constructor(context: Pick<DestinationContext, 'config' | 'log'>) {
    this.#context = context;
  }

  async differ(
    session: DestinationSession,
    state: DestinationState,
    { node, unit, from, hashes }: Comparison,
    signal: AbortSignal,
  ): Promise<{ differ: number[]; zeroUntil?: number }> {
    const watch = watchOf(session, state, node);
    if (!this.#viewed) await watch.view(nodesOf(state), this.#socket(state), signal);
    this.#viewed = true;
    const reader = await this.#reader(state, node, signal);
    const here = await hashesOf(reader, { from, unit, count: hashes.length }, signal);
    const differ = hashes.flatMap((hash, index) => (here[index] === hash ? [] : [index]));
    const end = from + unit * hashes.length;
    if (unit !== CHUNK_BYTES || end >= reader.size) return { differ };
    const zeroUntil = await reader.zeroUntil(end, signal);
    return { differ, ...(zeroUntil > end ? { zeroUntil } : {}) };
  }

  async rewritten(
    session: DestinationSession,
    state: DestinationState,
    { node, anew, pieces }: Rewriting,
    signal: AbortSignal,
  ): Promise<{ rewritten: boolean[] }> {
    const watch = watchOf(session, state, node);
    const key = `${node}#`;
    if (anew || !this.#readers.has(key)) {
      this.#readers.get(key)?.close();
      const { export: name, bitmap } = await watch.account(node, signal);
      this.#readers.set(key, await NbdClient.open(this.#socket(state), name, signal, bitmap));
    }
    const reader = this.#readers.get(key);
    const rewritten: boolean[] = [];
    for (const piece of pieces) {
      const length = Math.min(PIECE_BYTES, (reader?.size ?? 0) - piece);
      const extents = length <= 0 ? [] : ((await reader?.status(piece, length, signal)) ?? []);
      rewritten.push(extents.some(({ flags }) => (flags & 1) !== 0));
    }
    return { rewritten };
  }

  /** Cleans up. Never rejects, because the guest runs in any case. */
  async end(
    session: DestinationSession,
    state: DestinationState,
    signal: AbortSignal,
  ): Promise<void> {
    for (const reader of this.#readers.values()) reader.close();
    this.#readers.clear();
    if (nodesOf(state).length === 0) return;
    await session.disks?.watch?.end(signal).catch((error: unknown) => {
      this.#context.log.warn({ error }, 'what the comparing of disks took was not all taken back');
    });
    await rm(this.#socket(state), { force: true });
  }

  async #reader(state: DestinationState, node: string, signal: AbortSignal): Promise<NbdClient> {
    const known = this.#readers.get(node);
    if (known !== undefined) return known;
    const made = await NbdClient.open(this.#socket(state), node, signal);
    this.#readers.set(node, made);
    return made;
  }

  #socket({ admission }: DestinationState): string {
    return path.join(this.#context.config.stateDir, 'guests', admission.guest, 'compare.sock');
  }
}

export function nodesOf({ preparation }: DestinationState): string[] {
  return (preparation?.copies ?? []).map(({ node }) => node);
}

function watchOf(session: DestinationSession, state: DestinationState, node: string): DiskWatch {
  const watch = session.disks?.watch;
  if (watch !== undefined && nodesOf(state).includes(node)) return watch;
  throw godwitError('GODWIT_INTERNAL', { what: 'a disk that was not copied is to be compared' });
}
