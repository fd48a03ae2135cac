import { judgeSamples, sampleDevice } from '../../../disks/proof/device-samples.ts';
import type { Sample, SampleEnds, SampleQuestion } from '../../../disks/proof/device-samples.ts';
import { identityOf } from '../../../disks/proof/devices.ts';
import type { Identity } from '../../../disks/proof/devices.ts';
import { identityOfLun, sampleLun } from '../../../disks/proof/luns.ts';
import type { Target } from '../../../disks/proof/luns.ts';
import { toGodwitError } from '../../../errors.ts';
import type { DeviceAnswer, DeviceProof, LunPlace } from '../../../protocol/disk.ts';

/** The source's half of the proof that both hosts see the same block device, or the same LUN. */

export type MediumVerdict =
  | { readonly why: string }
  | { readonly pool: string; readonly path: string };

/** What holds one image by itself: nothing is written beside it, or to it. */
export interface Medium {
  identity(signal: AbortSignal): Promise<Identity>;
  samples(question: SampleQuestion, signal: AbortSignal): Promise<Sample[]>;
  /** How the destination is to look for it, where it is no block device. */
  readonly lun?: LunPlace;
  /** Why nothing tells which it is, where it has no ids. */
  readonly unknown: string;
}

export function deviceMedium(file: string): Medium {
  return {
    identity: () => identityOf(file),
    samples: (question, signal) => sampleDevice(file, question, signal),
    unknown: 'its kernel tells no WWN and no serial number of it',
  };
}

/** `path`: its number. */
export function lunMedium(pool: Target, path: string): Medium {
  return {
    identity: (signal) => identityOfLun(pool, path, signal),
    samples: (question, signal) => sampleLun(pool, path, question, signal),
    lun: { target: pool.place.target, lun: Number(path) },
    unknown: 'its target tells no designator and no serial number of it',
  };
}

interface Read {
  readonly file: string;
  readonly medium: Medium;
  readonly question: SampleQuestion;
  readonly samples: readonly Sample[];
  readonly proof: DeviceProof;
}

/**
 * Proves of each medium that the destination sees the same. `ask`: what the destination answers, in the order of what it
 * is asked. The first question is whether it is there, the second tells what this host reads of it.
 */
export async function proveMedia(
  media: ReadonlyMap<string, Medium>,
  ends: SampleEnds,
  ask: (devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, MediumVerdict>> {
  const { to } = ends;
  const verdicts = new Map<string, MediumVerdict>();
  const known: { file: string; medium: Medium; proof: DeviceProof }[] = [];
  for (const [file, medium] of media) {
    const { lun: iscsi, unknown } = medium;
    try {
      const { ids, bytes } = await medium.identity(signal);
      const proof = { ids: [...ids], bytes, ...(iscsi === undefined ? {} : { iscsi }) };
      if (ids.length > 0) known.push({ file, medium, proof });
      else verdicts.set(file, { why: unknown });
    } catch (error) {
      signal.throwIfAborted();
      verdicts.set(file, { why: `${ends.from}: ${toGodwitError(error).message}` });
    }
  }
  if (known.length === 0) return verdicts;
  const first = await ask(known.map(({ proof }) => proof));
  const read: Read[] = [];
  for (const [index, { file, medium, proof }] of known.entries()) {
    const { challenge, problem } = first[index] ?? {};
    if (challenge === undefined) {
      const ids = proof.ids.join(', ').slice(0, 200);
      const none =
        medium.lun === undefined
          ? `no device there has its ids (${ids})`
          : 'its `storage` names no such iSCSI target';
      verdicts.set(file, { why: `${to}: ${problem ?? none}` });
      continue;
    }
    const question = { ...ends, device: proof, challenge };
    const samples = await medium.samples(question, signal);
    const sums = samples.map(({ sum }) => sum);
    read.push({ file, medium, question, samples, proof: { ...proof, samples: sums } });
  }
  if (read.length === 0) return verdicts;
  const second = await ask(read.map(({ proof }) => proof));
  for (const [index, { file, medium, question, samples }] of read.entries()) {
    const { pool, path, samples: there = [], problem } = second[index] ?? {};
    if (pool === undefined || path === undefined) {
      verdicts.set(file, { why: `${to}: ${problem ?? 'it is not there any more'}` });
      continue;
    }
    const verdict = judgeSamples(samples, there, await medium.samples(question, signal));
    verdicts.set(file, verdict.same ? { pool, path } : { why: verdict.why });
  }
  return verdicts;
}
