import { stat } from 'node:fs/promises';
import path from 'node:path';
import { godwitError, toGodwitError } from '../../../errors.ts';
import { pass, refusal, type NamedCheck } from '../../../migration/preflight/check.ts';
import { readPassword } from '../../../system/files/password-file.ts';
import type { Disk } from '../../../protocol/disk.ts';
import type { GuestSpec } from '../spec/schema.ts';

/**
 * Passphrases of encrypted disks. They are local: no host sends them to another. `keyDir/GUEST` contains one
 * passphrase for all disks of a guest, or is a directory with one file per disk, `keyDir/GUEST/DISK`.
 */

/** A peer names the disk, so `..` and hidden names are excluded. */
const PLAIN = /^[A-Za-z0-9][A-Za-z0-9._:@+-]{0,63}$/;

export interface FoundPassphrases {
  readonly passphrases: ReadonlyMap<string, string>;
  readonly checks: readonly NamedCheck[];
}

export async function findPassphrases(
  { blockNodes = [] }: GuestSpec,
  disks: readonly Disk[],
  { keyDir, guest }: { readonly keyDir: string | undefined; readonly guest: string },
): Promise<FoundPassphrases> {
  const passphrases = new Map<string, string>();
  const checks: NamedCheck[] = [];
  for (const { node, luks } of blockNodes) {
    if (luks !== true) continue;
    const disk = disks.find(({ images }) => images.some((image) => image.node === node))?.name;
    const device = disk ?? node;
    try {
      const file = await fileFor(keyDir, guest, device);
      await readPassword(file);
      passphrases.set(node, file);
      checks.push(
        pass('disks', `${device} is encrypted: ${file} has its passphrase`, 'destination'),
      );
    } catch (thrown) {
      checks.push(refusal('disks', toGodwitError(thrown), 'destination'));
    }
  }
  return { passphrases, checks };
}

async function fileFor(keyDir: string | undefined, guest: string, disk: string): Promise<string> {
  const lacks = (hint: string): Error => {
    const what = `the passphrase of the encrypted disk ${disk} of ${guest}`;
    return godwitError('GODWIT_HOST_LACKS', { what }, { hint });
  };
  if (keyDir === undefined) {
    throw lacks('Name a directory of passphrases as drivers.qemu.luks.keyDir there.');
  }
  if (!PLAIN.test(guest)) throw lacks('Give the guest a name that a file can have.');
  const own = path.join(keyDir, guest);
  const info = await stat(own).catch(() => undefined);
  const file = info?.isDirectory() === true && PLAIN.test(disk) ? path.join(own, disk) : own;
  const isThere =
    file === own ? info?.isFile() : (await stat(file).catch(() => undefined))?.isFile();
  if (isThere === true) return file;
  throw lacks(`Put it into the file ${file} there, for root alone to read.`);
}
