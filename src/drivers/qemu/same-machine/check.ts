import { godwitError } from '../../../errors.ts';
import { pass, refusal, warn, type NamedCheck } from '../../../migration/preflight/check.ts';
import { compareMachines, type Comparison } from './compare.ts';
import type { Difference } from './reasons.ts';
import { machineParts, type MachineParts } from './machine-parts.ts';
import { lostFeatures } from './virtio-features.ts';

const MAX_REPORTED = 6;
const LOST_HINT =
  'Move it to a host whose kernel and QEMU offer that, or cold (--mode cold), so that its drivers agree anew.';
const WARN_HINT =
  'Nothing: the guest does not see it. To have it there too, set it on the destination once the guest is there.';

/**
 * Compares the running machine with the peer's report of the new one. Throws GODWIT_PROTOCOL_INVALID if the
 * report is not a machine. Pure.
 */
export function sameMachineCheck(
  guest: string,
  here: MachineParts,
  reported: unknown,
  host: string,
): NamedCheck {
  const there = machineParts.safeParse(reported);
  if (!there.success) {
    const [issue] = there.error.issues;
    const what = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`;
    const expected = 'what its hypervisor reports of the machine';
    throw godwitError('GODWIT_PROTOCOL_INVALID', { peer: host, expected, what });
  }
  const compared = compareMachines(here, there.data);
  const lost = lostFeatures(here.virtio ?? [], there.data.virtio ?? []);
  const hint = compared.refused.length === 0 ? { hint: LOST_HINT } : {};
  if (compared.refused.length > 0 || lost.length > 0) {
    const what = textOf([...compared.refused.map(sentenceOf), ...lost]);
    const error = godwitError('GODWIT_MACHINE_DIFFERS', { guest, host, what }, hint);
    return refusal('same-machine', error, 'both');
  }
  const evidence = summaryOf(compared);
  if (compared.warned.length === 0) return pass('same-machine', evidence, 'both');
  const others = textOf(compared.warned.map(sentenceOf));
  const warned = `not the guest’s, but other there: ${others}; ${evidence}`;
  return warn('same-machine', warned, WARN_HINT, 'both');
}

function summaryOf({ same, unknown, allowed }: Comparison): string {
  const parts = [`${same} properties are the same`];
  const names = [...allowed].map(([{ name }, count]) => `${count} by “${name}”`);
  if (names.length > 0) parts.push(`${names.join(', ')} differ for a known reason`);
  if (unknown > 0) parts.push(`${unknown} are known to one version of QEMU alone`);
  return parts.join('; ');
}

function textOf(sentences: readonly string[]): string {
  const reported = sentences.slice(0, MAX_REPORTED);
  const more = sentences.length - reported.length;
  return [...reported, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function sentenceOf({ part, property, source, destination }: Difference): string {
  const what = `${part.kind === 'device' ? '' : `${part.kind} `}${part.place}`;
  if (property === undefined) {
    const where = source === undefined ? 'only the destination has it' : 'the destination lacks it';
    return `${what} (${part.type}): ${where}`;
  }
  const value = (reported: string | undefined): string =>
    reported === undefined ? 'absent' : `“${reported}”`;
  return `${what}: ${property} is ${value(source)} at the source and ${value(destination)} at the destination`;
}
