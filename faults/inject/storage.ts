/** A destination's storage whose device gives I/O errors. */
import { truncateSync } from 'node:fs';
import path from 'node:path';
import { startAgent, stopAgent } from '../../src/lab/agents.ts';
import { runCommand } from '../../src/lab/command.ts';
import { labHost, storageDirectory } from '../../src/lab/state.ts';
import type { Injector, Place } from './injector.ts';

const MIB = 1024 ** 2;
const DEVICE_BYTES = 192 * MIB;
/** What is left of the device: the file system's own blocks are beyond it as well. */
const REST_BYTES = MIB;

/**
 * The destination's storage becomes a file system on a loop device before the migration; the fault takes the device's
 * end away, so that what is read or written there fails. Its agent is started anew for it: it sees what was mounted
 * before.
 */
export async function brokenStorage({ lab, to }: Place): Promise<Injector> {
  const directory = storageDirectory(lab, to);
  const device = path.join(labHost(lab, to).dir, 'storage-device');
  const renew = async (): Promise<void> => {
    await stopAgent(lab, to);
    await startAgent(lab, to);
  };
  await runCommand(['truncate', '-s', String(DEVICE_BYTES), device]);
  // Without a journal an error leaves the file system as it is.
  await runCommand(['mkfs.ext4', '-q', '-O', '^has_journal', '-E', 'nodiscard', device]);
  await runCommand(['mount', '-o', 'loop,errors=continue', device, directory]);
  // What was mounted there before is named first.
  const mounted = await runCommand(['findmnt', '-n', '-o', 'SOURCE', directory]);
  const loop = mounted.trim().split('\n').at(-1) ?? '';
  await renew();
  const resize = async (bytes: number): Promise<void> => {
    truncateSync(device, bytes);
    await runCommand(['losetup', '-c', loop]);
  };
  let struck = false;
  return {
    strike: async () => {
      struck = true;
      await resize(REST_BYTES);
      return `the device of the storage of ${to} gives I/O errors`;
    },
    clear: async () => {
      if (!struck) return;
      struck = false;
      await resize(DEVICE_BYTES);
    },
    afterwards: async () => {
      // The device goes with the last that has it mounted.
      await runCommand(['umount', '-l', directory]);
      await renew();
      await runCommand(['rm', '-f', device]);
    },
  };
}
