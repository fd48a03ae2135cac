import { judgeSamples, sampleDevice } from '../../../disks/proof/device-samples.ts';
import type { Sample, SampleEnds, SampleQuestion } from '../../../disks/proof/device-samples.ts';
import { identityOf } from '../../../disks/proof/devices.ts';
import type { Beside } from '../../../disks/proof/proof.ts';
import { godwitError } from '../../../errors.ts';
import type { DeviceAnswer, DeviceProof } from '../../../protocol/disk.ts';

/** The source's half of the proof that both hosts see the same block device. */

export type DeviceVerdict =
  | { readonly why: string }
  | { readonly pool: string; readonly path: string };

/** Nothing is written beside a device, or to it. */
export const NOWHERE: Beside = {
  write: () => Promise.reject(nothing()),
  read: () => Promise.reject(nothing()),
  remove: () => Promise.resolve(),
};

function nothing(): Error {
  return godwitError('GODWIT_INTERNAL', { what: 'there is nothing beside a block device' });
}

/**
 * Proves of each device that the destination sees the same. `ask`: what the destination answers, in the order of what it
 * is asked. The first question is whether it is there, the second tells what this host reads of it.
 */
export async function proveDevices(
  files: readonly string[],
  ends: SampleEnds,
  ask: (devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, DeviceVerdict>> {
  const { to } = ends;
  const verdicts = new Map<string, DeviceVerdict>();
  const known: { file: string; proof: DeviceProof }[] = [];
  for (const file of new Set(files)) {
    const { ids, bytes } = await identityOf(file);
    if (ids.length > 0) known.push({ file, proof: { ids: [...ids], bytes } });
    else verdicts.set(file, { why: 'its kernel tells no WWN and no serial number of it' });
  }
  if (known.length === 0) return verdicts;
  const first = await ask(known.map(({ proof }) => proof));
  const read: { file: string; question: SampleQuestion; samples: Sample[]; proof: DeviceProof }[] =
    [];
  for (const [index, { file, proof }] of known.entries()) {
    const { challenge, problem } = first[index] ?? {};
    if (challenge === undefined) {
      const ids = proof.ids.join(', ').slice(0, 200);
      verdicts.set(file, { why: `${to}: ${problem ?? `no device there has its ids (${ids})`}` });
      continue;
    }
    const question = { ...ends, device: proof, challenge };
    const samples = await sampleDevice(file, question, signal);
    const sums = samples.map(({ sum }) => sum);
    read.push({ file, question, samples, proof: { ...proof, samples: sums } });
  }
  if (read.length === 0) return verdicts;
  const second = await ask(read.map(({ proof }) => proof));
  for (const [index, { file, question, samples }] of read.entries()) {
    const { pool, path, samples: there = [], problem } = second[index] ?? {};
    if (pool === undefined || path === undefined) {
      verdicts.set(file, { why: `${to}: ${problem ?? 'the device is not there any more'}` });
      continue;
    }
    const verdict = judgeSamples(samples, there, await sampleDevice(file, question, signal));
    verdicts.set(file, verdict.same ? { pool, path } : { why: verdict.why });
  }
  return verdicts;
}
