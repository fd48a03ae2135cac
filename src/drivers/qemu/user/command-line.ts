import { chmod, chown } from 'node:fs/promises';
import path from 'node:path';
import { formatIscsi, parseIscsi } from '../../../protocol/iscsi-url.ts';
import { formatRbd, parseRbd } from '../../../protocol/rbd-name.ts';
import { isOnNetwork } from '../../../protocol/network-file.ts';
import { formatNfs, parseNfs } from '../../../protocol/nfs-url.ts';
import { readPassword } from '../../../system/files/password-file.ts';
import { hasVhostNet, type Match } from '../assess.ts';
import type { QemuProgram } from '../programs/binaries.ts';
import { memoryNodes } from '../host-memory.ts';
import { buildArgv, type Placement } from '../spec/argv.ts';
import { giveDevices } from '../passthrough/give-devices.ts';
import { giveFiles, writeNew } from './access.ts';
import { keyIn } from './keyring.ts';
import { sandboxWords, type RunAs } from './confine.ts';
import { readableImages } from './guest-user.ts';

interface CommandPlacement extends Pick<
  Placement,
  'guest' | 'guestDir' | 'logDir' | 'ports' | 'pipes'
> {
  readonly as: RunAs | undefined;
}

/** QEMU's arguments, after its user was granted access to every file in them. */
export async function commandLine(
  match: Match,
  program: QemuProgram,
  { as, ...started }: CommandPlacement,
): Promise<string[]> {
  const { spec } = match;
  const own = as === undefined ? match : await given(match, started.guestDir, as);
  const files = { ...own, disks: await withKeys(own.disks, started.guestDir, as) };
  const words = buildArgv(spec, {
    ...started,
    images: files.images,
    romfiles: files.romfiles,
    disks: files.disks,
    passphrases: await withPassphrases(match.passphrases, started.guestDir, as),
    passthrough: await giveDevices(match.passthrough, started.guestDir, as),
    features: program.features[spec.accelerator.name] ?? [],
    vhost: await hasVhostNet(),
    nodes: await memoryNodes(),
  });
  return program.sandbox ? [...words, ...sandboxWords(spec)] : words;
}

/** Only the owner may read a keyring or password file, so QEMU gets its secret in a separate file. */
async function withKeys(
  disks: ReadonlyMap<string, string>,
  guestDir: string,
  as: RunAs | undefined,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [node, file] of disks) found.set(node, await withKey(node, file, guestDir, as));
  return found;
}

async function withKey(
  node: string,
  file: string,
  guestDir: string,
  as: RunAs | undefined,
): Promise<string> {
  const [image, lun] = [parseRbd(file), parseIscsi(file)];
  if (lun?.passwordFile !== undefined) {
    const passwordFile = path.join(guestDir, `iscsi-${node}.key`);
    await giveSecret(passwordFile, await readPassword(lun.passwordFile), as);
    return formatIscsi({ ...lun, passwordFile });
  }
  const key = image?.keyring === undefined ? undefined : await keyIn(image.keyring, image.user);
  if (image === undefined || key === undefined) return file;
  const keyFile = path.join(guestDir, `ceph-${node}.key`);
  await giveSecret(keyFile, key, as);
  const { keyring: _keyring, ...rest } = image;
  return formatRbd({ ...rest, keyFile });
}

/** Only the agent may read the passphrase file, so QEMU gets a separate one. */
async function withPassphrases(
  passphrases: ReadonlyMap<string, string>,
  guestDir: string,
  as: RunAs | undefined,
): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const [node, file] of passphrases) {
    const own = path.join(guestDir, `luks-${node}.key`);
    await giveSecret(own, await readPassword(file), as);
    found.set(node, own);
  }
  return found;
}

async function giveSecret(file: string, text: string, as: RunAs | undefined): Promise<void> {
  await writeNew(file, text);
  if (as === undefined) return;
  await chown(file, process.geteuid?.() ?? 0, as.gid);
  await chmod(file, 0o640);
}

type Files = Pick<Match, 'images' | 'romfiles' | 'disks'>;

async function given(match: Match, guestDir: string, as: RunAs): Promise<Files> {
  const writable = new Map<string, boolean>();
  for (const { node, readOnly } of match.spec.blockNodes ?? []) {
    const file = match.disks.get(node);
    if (file === undefined || isOnNetwork(file) || match.code.has(node)) continue;
    writable.set(file, writable.get(file) === true || !readOnly);
  }
  const wanted = [...writable].map(([file, held]) => ({ file, writable: held }));
  await giveFiles(guestDir, wanted, as.gid);
  return {
    images: await readableImages(guestDir, match.images, 'image', as),
    romfiles: await readableImages(guestDir, match.romfiles, 'rom', as),
    disks: new Map([
      ...[...match.disks].map(([node, file]) => [node, asAgent(file)] as const),
      ...(await readableImages(guestDir, match.code, 'code', as)),
    ]),
  };
}

/** NFS servers check the client's uid, so exports are opened as the user that the agent has tested. */
function asAgent(file: string): string {
  const place = parseNfs(file);
  if (place === undefined) return file;
  const user = place.user ?? process.geteuid?.() ?? 0;
  return formatNfs({ ...place, user, group: place.group ?? process.getegid?.() ?? 0 });
}
