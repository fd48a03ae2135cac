import path from 'node:path';
import { godwitError } from '../../../../errors.ts';
import { removePort } from '../../../../network/port.ts';
import { withdrawNetworks } from '../network/networks.ts';
import type { SourceContext } from '../source-context.ts';
import { sessionIfThere } from '../source-base.ts';

/**
 * Ends the copy here, because another host has the guest. A copy that runs is never ended. Disks and the guest's directory
 * stay as they are: no comparison has shown that another host has the same. Repeatable.
 */
export async function giveUpHere(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { config, request, state, guest, dataPath } = context;
  const name = request.request.guest;
  const session = await sessionIfThere(context, signal);
  if (session !== undefined) {
    const { run } = await session.status(signal);
    if (run === 'running') {
      const reason = `its copy at ${config.name} runs: end one of the two copies by hand`;
      throw godwitError('GODWIT_HELD', { guest: name, reason });
    }
    dataPath.abort(context, 'another host has the guest');
    await session.quit(signal);
  }
  await withdrawNetworks(context, signal);
  for (const port of state().known.ports ?? []) await removePort(port, signal);
  // A hypervisor that ended without a mover did not return its files.
  await guest.takeBack(path.join(config.stateDir, 'guests', name));
}
