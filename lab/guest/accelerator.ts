import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import type { GuestImage } from '../image/initramfs.ts';
import type { Accelerator } from './argv.ts';

const SIGN_OF_LIFE = 'godwit: boot';
const SIGN_DEADLINE_MS = 10_000;

const remembered = z.object({
  bootId: z.string(),
  answers: z.record(z.string(), z.enum(['kvm', 'tcg'])),
});

/**
 * KVM where a guest really starts under it, TCG elsewhere. Some machines open /dev/kvm and then
 * cannot run a stock kernel, so it is tried once per boot of the machine and binary.
 */
export async function chooseAccelerator(binary: string, image: GuestImage): Promise<Accelerator> {
  const usable = await access('/dev/kvm', constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!usable) return 'tcg';
  const file = path.join(cacheDirectory(), 'accelerator.json');
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const known = await readRemembered(file, bootId);
  const answer = known[binary] ?? (await bootsUnderKvm(binary, image));
  if (known[binary] === undefined) {
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    await writeFile(temporary, JSON.stringify({ bootId, answers: { ...known, [binary]: answer } }));
    await rename(temporary, file);
  }
  return answer;
}

async function readRemembered(file: string, bootId: string): Promise<Record<string, Accelerator>> {
  try {
    const read = remembered.parse(JSON.parse(await readFile(file, 'utf8')));
    return read.bootId === bootId ? read.answers : {};
  } catch {
    return {};
  }
}

async function bootsUnderKvm(binary: string, image: GuestImage): Promise<Accelerator> {
  const groups = [
    ['-machine', 'q35', '-accel', 'kvm', '-cpu', 'host', '-m', '256', '-nodefaults'],
    ['-display', 'none', '-no-reboot', '-kernel', image.kernel, '-initrd', image.initramfs],
    ['-append', 'console=ttyS0 quiet panic=-1', '-serial', 'stdio'],
  ];
  const argv = groups.flat();
  return new Promise((resolve) => {
    const child = spawn(binary, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    const settle = (answer: Accelerator): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      resolve(answer);
    };
    const timer = setTimeout(() => settle('tcg'), SIGN_DEADLINE_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4096);
      if (output.includes(SIGN_OF_LIFE)) settle('kvm');
    });
    child.on('error', () => settle('tcg'));
    child.on('exit', () => settle('tcg'));
  });
}
