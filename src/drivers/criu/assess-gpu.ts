import { stat } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../migration/preflight/check.ts';
import type { Where } from './assess.ts';
import { whyNoGpu } from './gpu-checks.ts';
import type { HostContext } from './host-context.ts';
import { missingPart } from './host-parts-here.ts';
import { availableBytes } from './look-at-gpus.ts';
import type { ContainerSpec } from './spec.ts';

/** What it uses of its host besides: files that both have, devices under the same numbers, GPUs of the same kind. */
export async function judgeGpu(
  context: HostContext,
  { hostParts = [], oci, gpu }: ContainerSpec,
  { host, guest, memoryBytes }: Where,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const refused = (device: string, what: string, hint: string): NamedCheck[] => {
    const facts = { device, guest, host, what };
    const error = godwitError('GODWIT_DEVICE_UNMAPPED', facts, { hint });
    return [refusal('devices', error, 'destination')];
  };
  const missing = await missingPart(context, hostParts, signal);
  if (missing !== undefined) {
    const hint = `Bring the same files to both hosts, and name their directory in \`drivers.criu.hostDirs\` of ${host}.`;
    return refused(missing.path, missing.what, hint);
  }
  for (const { name, major, minor } of oci.devices ?? []) {
    const here = await numbersOf(`/dev/${name}`);
    if (here === `${major}:${minor}`) continue;
    const hint =
      'Load the driver’s modules in the same order on both hosts, so that its devices have the same numbers.';
    return refused(
      `/dev/${name}`,
      `${here ?? 'no such device'}, and ${major}:${minor} at the source`,
      hint,
    );
  }
  // A cold move has no state.
  if (gpu === undefined || memoryBytes === 0) return [];
  const why = whyNoGpu(gpu, await context.gpus.facts(signal), await availableBytes());
  if (why !== undefined) return refused('the GPU', why.what, why.hint);
  return [pass('devices', `GPUs of the same kind, with driver ${gpu.driver}`, 'destination')];
}

/** Of a device: `195:255`. */
async function numbersOf(file: string): Promise<string | undefined> {
  const facts = await stat(file).catch(() => undefined);
  if (facts?.isCharacterDevice() !== true) return undefined;
  const { rdev } = facts;
  return `${(rdev >>> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >>> 12) & 0xfff00)}`;
}
