import { proofFile } from '../../../../disks/proof/proof.ts';
import { finder } from './find-images.ts';
import type { SourceContext } from '../source-context.ts';
import { locatedVolumes } from './volumes.ts';

/** Removes what a mover that died in the midst of a proof has left. */
export async function dropProofs(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { guest, config, request, state } = context;
  const { description } = state().known;
  if (description === undefined) return;
  const { files = {}, volumes = [] } = await guest.inspect(signal);
  for (const { proof } of (await locatedVolumes(config, volumes)).located)
    await proof.beside.remove(proofFile(request.id), signal);
  if (description.disks === undefined) return;
  const find = await finder(config);
  for (const file of Object.values(files)) {
    const located = await find(file, signal);
    if ('problem' in located) continue;
    const { proof } = located.found;
    if ('medium' in proof) await proof.medium.drop?.(request.id, signal);
    else await proof.beside.remove(proofFile(request.id), signal);
  }
}
