import path from 'node:path';
import type { AgentConfig } from '../../../../config.ts';
import { besideInDirectory } from '../../../../disks/proof/proof.ts';
import { locate, openPools } from '../../../../disks/proof/pools.ts';
import type { SourceVolume } from '../../../../port/inspection.ts';
import { godwitError } from '../../../../errors.ts';
import { countedChecks } from '../../../../migration/direct/cold.ts';
import { pass, refusal, type NamedCheck } from '../../../../migration/preflight/check.ts';
import type { ImagePlace } from '../../../../protocol/disk.ts';
import { formatBytes } from '../../../../protocol/quantity.ts';
import { directoryOf } from './find-images.ts';
import { proveDirectories, type Proof, type ToProve } from './proofs.ts';
import type { LookDependencies } from '../source-base.ts';

/** Proves which volumes of a container both hosts see, so that they stay in place. */

interface LocatedVolume {
  readonly volume: SourceVolume;
  readonly path: string;
  readonly proof: ToProve;
}

/** `elsewhere`: reason not to look for a volume at the destination, by node. */
export async function locatedVolumes(
  { storage }: Pick<AgentConfig, 'storage'>,
  volumes: readonly SourceVolume[],
): Promise<{
  readonly located: readonly LocatedVolume[];
  readonly elsewhere: ReadonlyMap<string, string>;
}> {
  const located: LocatedVolume[] = [];
  const elsewhere = new Map<string, string>();
  const pools = volumes.length === 0 ? [] : await openPools(storage);
  for (const volume of volumes) {
    const { file, kind, node } = volume;
    const at = await locate(pools, file, kind);
    if ('problem' in at) {
      elsewhere.set(node, at.problem);
      continue;
    }
    const { pool, path: part } = at.found;
    const real = path.join(pool.root, part);
    // Proof in the directory itself, because another mount may cover it.
    const [directory, inPool] =
      kind === 'directory' ? [real, part] : [path.dirname(real), directoryOf(part)];
    const place = { directory: inPool, volume: true } as const;
    const proof = { directory, beside: besideInDirectory(directory), place };
    located.push({ volume, path: part, proof });
  }
  return { located, elsewhere };
}

/** Places of shared volumes at the destination, with findings. Proof files are removed when this settles. */
export async function proveVolumes(
  deps: LookDependencies,
  volumes: readonly SourceVolume[],
  signal: AbortSignal,
): Promise<{ readonly places: readonly ImagePlace[]; readonly checks: readonly NamedCheck[] }> {
  const { located, elsewhere } = await locatedVolumes(deps.config, volumes);
  const all = located.map(({ proof }) => proof);
  const proofs = await proveDirectories(deps, all, signal);
  const places: ImagePlace[] = [];
  const checks: NamedCheck[] = [];
  const ends = { ...deps.state().plan, guest: deps.request.request.guest };
  for (const volume of volumes) {
    const at = located.find((each) => each.volume === volume);
    const proof: Proof =
      at === undefined
        ? { why: elsewhere.get(volume.node) ?? 'nothing was tried' }
        : (proofs.get(at.proof.directory) ?? { why: 'nothing was tried' });
    if (at !== undefined && 'pool' in proof)
      places.push({ node: volume.node, pool: proof.pool, path: at.path });
    checks.push(...judgeVolume(volume, proof, ends));
  }
  return { places, checks: countedChecks(checks, deps.state()) };
}

interface Ends {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
}

export function judgeVolume(
  volume: SourceVolume,
  proof: Proof,
  { guest, from, to }: Ends,
): NamedCheck[] {
  const { device, file, bytes, ifCopied, ifShared } = volume;
  const what = `the volume ${device}`;
  const size = `${what}: ${formatBytes(bytes)}, ${file}`;
  if ('pool' in proof) {
    const evidence = `${size}: ${from} and ${to} each read what the other wrote there, so it stays`;
    return [...ifShared, pass('disks', evidence.slice(0, 4096), 'both')];
  }
  if (proof.readOnly === true) {
    const hint = `Mount it on ${to} so that root may write there. If it is to be copied, name it in \`storage\` of one of the hosts alone.`;
    const error = godwitError(
      'GODWIT_DEVICE_UNMAPPED',
      { device: what, guest, host: to, what: proof.why },
      { hint },
    );
    return [refusal('disks', error, 'both')];
  }
  const evidence = `${size}: not on storage that ${to} sees (${proof.why}), so it is copied`;
  return [...ifCopied, pass('disks', evidence.slice(0, 4096))];
}
