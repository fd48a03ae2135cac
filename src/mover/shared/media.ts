import {
  judgeSamples,
  sampleDevice,
  type Judgement,
  type Sample,
  type SampleEnds,
  type SampleQuestion,
} from '../../disks/proof/device-samples.ts';
import { identityOf, type Identity } from '../../disks/proof/devices.ts';
import { identityOfLun, sampleLun, type Target } from '../../disks/proof/luns.ts';
import {
  dropNotes,
  identityOfImage,
  isAnswered,
  refuseOthers,
  noteForProof,
  type ImagePool,
} from '../../disks/proof/rbd-images.ts';
import { defined } from '../../protocol/defined.ts';
import type { DeviceAnswer, DeviceProof } from '../../protocol/disk.ts';

/** Source side of the proof that both hosts see the same block device, LUN or RBD image. */

const DROP_MS = 10_000;

/** `unasked`: the destination does not support the question. */
export type MediumVerdict =
  | { readonly why: string; readonly unasked?: true }
  | { readonly pool: string; readonly path: string };

/** Medium that holds one image: nothing can be written to it, and no file put next to it. */
export interface Medium {
  /** Rejects if it cannot be used. */
  identity(signal: AbortSignal): Promise<Identity>;
  /** Reports data that only a host with access to the medium has, and judges the destination's report. */
  prove(question: SampleQuestion, signal: AbortSignal): Promise<SampleReport>;
  /** Removes remains of a migration's proof; absent: there are none. */
  drop?(migration: string, signal: AbortSignal): Promise<void>;
  /** How the destination finds it, if it is not a block device. */
  readonly asked: Pick<DeviceProof, 'iscsi' | 'rbd' | 'at'>;
  /** Reason why it has no identity, if it has no ids. */
  readonly unknown: string;
  readonly missing: string;
}

export interface SampleReport {
  readonly samples: readonly string[];
  judge(there: readonly string[], signal: AbortSignal): Promise<Judgement>;
}

export function deviceMedium(file: string): Medium {
  return {
    identity: () => identityOf(file),
    prove: bySamples((question, signal) => sampleDevice(file, question, signal)),
    asked: {},
    unknown: 'its kernel reports no WWN and no serial number of it',
    missing: 'no device there has its ids',
  };
}

/** Device that the destination must have at the same path. */
export function deviceAtPath(file: string): Medium {
  const missing = `what lies at ${file} there is another device, or none`;
  return { ...deviceMedium(file), asked: { at: file }, missing };
}

export function lunMedium(pool: Target, path: string): Medium {
  return {
    identity: (signal) => identityOfLun(pool, path, signal),
    prove: bySamples((question, signal) => sampleLun(pool, path, question, signal)),
    asked: { iscsi: { target: pool.place.target, lun: Number(path) } },
    unknown: 'its target reports no designator and no serial number of it',
    missing: 'its `storage` names no such iSCSI target',
  };
}

/** `image`: its name. `isWritten`: the guest writes to it. */
export function imageMedium(pool: ImagePool, image: string, isWritten: boolean): Medium {
  const { pool: name, namespace } = pool.place;
  return {
    identity: async (signal) => {
      await refuseOthers(pool, image, isWritten, signal);
      return identityOfImage(pool, image, signal);
    },
    prove: async ({ migration }, signal) => ({
      samples: await noteForProof(pool, image, migration, signal),
      judge: async (there, inner) =>
        (await isAnswered(pool, image, { migration, there }, inner))
          ? { same: true }
          : { same: false, why: 'what the destination says that it wrote beside it is not there' },
    }),
    drop: (migration, signal) => dropNotes(pool, image, migration, signal),
    asked: { rbd: { pool: name, image, ...defined({ namespace }) } },
    unknown: 'Ceph reports no id of it',
    missing: 'its `storage` names no such pool of RBD',
  };
}

function bySamples(
  sample: (question: SampleQuestion, signal: AbortSignal) => Promise<Sample[]>,
): Medium['prove'] {
  return async (question, signal) => {
    const before = await sample(question, signal);
    return {
      samples: before.map(({ sum }) => sum),
      judge: async (there, inner) => judgeSamples(before, there, await sample(question, inner)),
    };
  };
}

interface Read {
  readonly file: string;
  readonly reported: SampleReport;
  readonly proof: DeviceProof;
}

/**
 * Proves for each medium that the destination sees the same one. `ask`: the destination's answers, in order. The
 * first question is whether it is there, the second asks for data that only a host with access has. Leaves nothing
 * behind when this settles.
 */
export async function proveMedia(
  media: ReadonlyMap<string, Medium>,
  ends: SampleEnds,
  ask: (devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, MediumVerdict>> {
  const reported = new Set<Medium>();
  const noted = new Map(
    [...media].map(([file, medium]) => [file, noting(medium, () => reported.add(medium))] as const),
  );
  try {
    return await proveEach(noted, ends, ask, signal);
  } finally {
    const own = AbortSignal.timeout(DROP_MS);
    for (const medium of reported) {
      // A remaining proof is harmless, and the next attempt overwrites it.
      await medium.drop?.(ends.migration, own).catch(() => undefined);
    }
  }
}

/** Only media with a begun report can have remains. */
function noting(medium: Medium, begun: () => void): Medium {
  return {
    ...medium,
    prove: (question, signal) => {
      begun();
      return medium.prove(question, signal);
    },
  };
}

async function proveEach(
  media: ReadonlyMap<string, Medium>,
  ends: SampleEnds,
  ask: (devices: readonly DeviceProof[]) => Promise<readonly DeviceAnswer[]>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, MediumVerdict>> {
  const { from, to } = ends;
  const verdicts = new Map<string, MediumVerdict>();
  const attempt = async <T>(file: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      verdicts.set(file, {
        why: `${from}: ${error instanceof Error ? error.message : String(error)}`,
      });
      return undefined;
    }
  };
  const known: { file: string; medium: Medium; proof: DeviceProof }[] = [];
  for (const [file, medium] of media) {
    const identity = await attempt(file, () => medium.identity(signal));
    if (identity === undefined) continue;
    const { ids, bytes } = identity;
    if (ids.length === 0) verdicts.set(file, { why: medium.unknown });
    else known.push({ file, medium, proof: { ids: [...ids], bytes, ...medium.asked } });
  }
  if (known.length === 0) return verdicts;
  const first = await ask(known.map(({ proof }) => proof));
  const read: Read[] = [];
  for (const [index, { file, medium, proof }] of known.entries()) {
    const { challenge, problem, at } = first[index] ?? {};
    if (medium.asked.at !== undefined && at === undefined) {
      const why = `${to} is of an earlier build, which looks at no device by its path`;
      verdicts.set(file, { why, unasked: true });
      continue;
    }
    if (challenge === undefined) {
      const ids = proof.ids.join(', ').slice(0, 200);
      verdicts.set(file, { why: `${to}: ${problem ?? `${medium.missing} (${ids})`}` });
      continue;
    }
    const question = { ...ends, device: proof, challenge };
    const reported = await attempt(file, () => medium.prove(question, signal));
    if (reported !== undefined) {
      read.push({ file, reported, proof: { ...proof, samples: [...reported.samples] } });
    }
  }
  if (read.length === 0) return verdicts;
  const second = await ask(read.map(({ proof }) => proof));
  for (const [index, { file, reported }] of read.entries()) {
    const { pool, path, samples: there = [], problem } = second[index] ?? {};
    if (pool === undefined || path === undefined) {
      verdicts.set(file, { why: `${to}: ${problem ?? 'it is not there any more'}` });
      continue;
    }
    const verdict = await attempt(file, () => reported.judge(there, signal));
    if (verdict !== undefined) {
      verdicts.set(file, verdict.same ? { pool, path } : { why: verdict.why });
    }
  }
  return verdicts;
}
