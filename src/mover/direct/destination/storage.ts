import type { AgentConfig } from '../../../config.ts';
import { godwitError, GodwitError } from '../../../errors.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { Preparation, StorageAnswer, StorageProof } from '../../../protocol/peer/migration.ts';
import { exportsOf, resolveOn } from '../../../disks/proof/exports.ts';
import { openPools, resolveIn } from '../../../disks/proof/pools.ts';
import type { Found } from '../../../disks/proof/pools.ts';
import { answerOnExports, answerProof } from '../../../disks/proof/proof.ts';

/** The source waits 10 s for an answer; a server that is gone is not to take all of them, ms. */
const EXPORTS_MS = 8000;

/** Where the images of a guest's disks lie on this host, by block node, and what speaks against opening them. */
export interface DiskFiles {
  readonly files: ReadonlyMap<string, string>;
  readonly checks: readonly Check[];
}

export async function answerStorage(
  config: AgentConfig,
  { places }: StorageProof,
): Promise<StorageAnswer> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const signal = AbortSignal.timeout(EXPORTS_MS);
  const answers: StorageAnswer['places'] = [];
  for (const place of places) {
    const { nfs = false } = place;
    answers.push(
      nfs ? await answerOnExports(exports, place, signal) : await answerProof(pools, place),
    );
  }
  return { places: answers };
}

export async function diskFiles(
  config: AgentConfig,
  { description, places = [] }: Preparation,
): Promise<DiskFiles> {
  const files = new Map<string, string>();
  const checks: Check[] = [];
  if (places.length === 0) return { files, checks };
  const resolve = await resolver(config);
  for (const { node, pool, path } of places) {
    const found = await resolve(pool, path);
    if ('found' in found) {
      files.set(node, found.found);
      continue;
    }
    const facts = {
      host: config.name,
      guest: description.name,
      device: path,
      reason: found.problem,
    };
    const error = godwitError('GODWIT_DISK_MISSING', facts);
    checks.push({
      name: 'disks',
      side: 'destination',
      verdict: 'refuse',
      evidence: error.message,
      error: error.toJSON(),
    });
  }
  if (checks.length === 0) {
    const evidence = [...files.values()].join(', ').slice(0, 4096);
    checks.push({ name: 'disks', side: 'destination', verdict: 'pass', evidence });
  }
  return { files, checks };
}

async function resolver(
  config: AgentConfig,
): Promise<(pool: string, part: string) => Promise<Found<string>>> {
  const pools = await openPools(config.storage);
  const exports = exportsOf(config.storage);
  const signal = AbortSignal.timeout(EXPORTS_MS);
  return async (id, part) => {
    const pool = pools.find((each) => each.id === id);
    if (pool !== undefined) return resolveIn(pool, part, 'file');
    const onExport = exports.find((each) => each.id === id);
    if (onExport !== undefined) return resolveOn(onExport, part, signal);
    return { problem: `no storage of ${config.name} allows it` };
  };
}

/** The same once more before they are opened: what was checked may have changed since. */
export async function filesToOpen(
  config: AgentConfig,
  preparation: Preparation,
): Promise<ReadonlyMap<string, string>> {
  const { files, checks } = await diskFiles(config, preparation);
  const refusal = checks.find(({ error }) => error !== undefined)?.error;
  if (refusal !== undefined) throw new GodwitError(refusal);
  return files;
}
