/** Guests of the lab whose TPM a swtpm serves, as their owner starts both. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { inHost } from '../../../lab/entry.ts';
import { labEnvironment } from '../../../lab/environment.ts';
import { startGuest } from '../../../lab/guest/start.ts';
import { startDetached } from '../../../lab/processes.ts';
import { until } from '../../until.ts';
import type { World } from './world.ts';

const MIB = 1024 ** 2;
const SWTPM = '/usr/bin/swtpm';
/** Why tests of TPMs are skipped here; false: they are not. */
export const NO_SWTPM = existsSync(SWTPM)
  ? false
  : `nothing here serves a TPM (${SWTPM}): install swtpm`;

export interface TpmGuest {
  readonly name: string;
  readonly device: 'tpm-tis' | 'tpm-crb';
  readonly words?: readonly string[];
  /** Further words for swtpm. */
  readonly swtpm?: readonly string[];
}

/** A guest as its owner starts it by hand: swtpm first. */
export async function startTpmGuest(world: World, started: TpmGuest): Promise<void> {
  const { name, device, words = [], swtpm = [] } = started;
  const dir = path.join(world.lab.dir, 'swtpm', name);
  await mkdir(dir, { recursive: true });
  const socket = `${dir}/sock`;
  const argv = `${SWTPM} socket --tpm2 --tpmstate dir=${dir} --ctrl type=unixio,path=${socket}`;
  await startDetached(inHost(world.lab, 'a', [...argv.split(' '), ...swtpm]), {
    logFile: `${dir}/log`,
    env: labEnvironment(world.lab),
  });
  await until('swtpm to listen', 10_000, async () => (existsSync(socket) ? true : undefined));
  await startGuest(world.lab, {
    name,
    host: 'a',
    memoryBytes: 256 * MIB,
    workingSetBytes: 16 * MIB,
    dirtyBytesPerSecond: MIB,
    extraArguments: [
      '-chardev',
      `socket,id=chrtpm,path=${socket}`,
      '-tpmdev',
      'emulator,id=tpm0,chardev=chrtpm',
      '-device',
      `${device},tpmdev=tpm0`,
      ...words,
    ],
  });
}
