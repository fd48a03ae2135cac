/** A destination's storage whose device gives I/O errors. */
import path from 'node:path';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { labHost, storageDirectory } from '../../lab/state.ts';
import type { Injector, FaultSite } from './injector.ts';

const MIB = 1024 ** 2;
const DEVICE_BYTES = 200 * MIB;
/** In sectors: where the partition begins, how long it is, and what the fault leaves of it. */
const [FROM, WHOLE, REST] = ['2048', '393216', '2048'];

/**
 * The destination's storage becomes a file system on a partition of a loop device before the migration. The fault makes
 * the partition short: what is read or written beyond fails, and is still there afterwards. The agent is started anew
 * for it, since it sees what was mounted before.
 */
export async function brokenStorage({ lab, to }: FaultSite): Promise<Injector> {
  const directory = storageDirectory(lab, to);
  const file = path.join(labHost(lab, to).dir, 'storage-device');
  const renew = async (): Promise<void> => {
    await stopAgent(lab, to);
    await startAgent(lab, to);
  };
  await runCommand(['truncate', '-s', String(DEVICE_BYTES), file]);
  const loop = (await runCommand(['losetup', '--find', '--show', '-P', file])).trim();
  const device = `${loop}p1`;
  let mounted = false;
  const afterwards = async (): Promise<void> => {
    if (mounted) await runCommand(['umount', '-l', directory]);
    await renew();
    // It goes with the last that has the file system mounted, the partition with it.
    await runCommand(['losetup', '-d', loop]);
    await runCommand(['rm', '-f', file]);
  };
  try {
    await runCommand(['addpart', loop, '1', FROM, WHOLE]);
    // Without a journal an error leaves the file system as it is.
    await runCommand(['mkfs.ext4', '-q', '-O', '^has_journal', '-E', 'nodiscard', device]);
    await runCommand(['mount', '-o', 'errors=continue', device, directory]);
    mounted = true;
    await renew();
  } catch (error) {
    await afterwards();
    throw error;
  }
  const resize = (sectors: string): Promise<string> =>
    runCommand(['resizepart', loop, '1', sectors]);
  return {
    strike: async () => {
      await resize(REST);
      return `the device of the storage of ${to} gives I/O errors`;
    },
    clear: async () => void (await resize(WHOLE)),
    afterwards,
  };
}
