import path from 'node:path';
import { withDeadline } from '../../../../deadline.ts';
import { godwitError, hasCode, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { HypervisorPort, StepContext } from '../ports.ts';
import { sessionIfThere } from '../source-base.ts';

const STOP_MS = 10_000;

/**
 * Keeps the copy here from running, whatever its hypervisor does: the destination has the guest, or had it when it
 * was lost. Never rejects; failures are reported.
 */
export async function stopHere(
  hypervisor: Pick<HypervisorPort, 'session'>,
  log: Log,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await withDeadline('stopping the copy here', STOP_MS, signal, async (inner) => {
      const session = await hypervisor.session(inner);
      await session.stopGuest(inner);
    });
  } catch (thrown) {
    const error = toGodwitError(thrown);
    if (hasCode(error, 'GODWIT_HYPERVISOR_LOST') || signal?.aborted === true) return;
    log.warn({ error }, 'the copy here could not be stopped');
  }
}

/**
 * Ends the copy here, because another host has the guest; never a running copy. Disks, the guest's directory and the
 * files of a container stay, because nothing proves that another host has the same. Repeatable.
 */
export async function giveUpHere(
  {
    request,
    hypervisor,
    dataPath,
    network,
    host,
  }: StepContext<'hypervisor' | 'dataPath' | 'network' | 'host'>,
  signal: AbortSignal,
): Promise<void> {
  const { config } = host;
  const name = request.request.guest;
  const session = await sessionIfThere(hypervisor, signal);
  if (session !== undefined) {
    const { run } = await session.status(signal);
    if (run === 'running') {
      const reason = `its copy at ${config.name} runs: end one of the two copies by hand`;
      throw godwitError('GODWIT_HELD', { guest: name, reason });
    }
    dataPath.abort('another host has the guest');
    await session.quit(signal, { keepsData: true });
  }
  await network.withdraw(signal);
  await network.removePorts(signal);
  // A hypervisor that ended without a mover did not return its files.
  await hypervisor.takeBack(path.join(config.stateDir, 'guests', name));
}
