import { constants } from 'node:fs';
import { access, readdir } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../src/errors.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { runCommand } from '../command.ts';

export interface QemuBinary {
  readonly path: string;
  /** `7.2.22` */
  readonly version: string;
}

const PROGRAM = 'qemu-system-x86_64';

/** The QEMUs of this machine, on the PATH and in prefixes, the newest first. */
export async function qemuBinaries(signal?: AbortSignal): Promise<QemuBinary[]> {
  const prefixes = path.join(cacheDirectory(), 'qemu');
  const inPrefixes = (await readdir(prefixes).catch(() => []))
    .toSorted((left, right) => left.localeCompare(right, 'en', { numeric: true }))
    .map((name) => path.join(prefixes, name, 'bin', PROGRAM));
  const onPath = [...(process.env['PATH'] ?? '').split(':'), '/usr/libexec'].map((dir) =>
    path.join(dir, dir === '/usr/libexec' ? 'qemu-kvm' : PROGRAM),
  );
  const firstOnPath = await firstExecutable(onPath);
  const candidates = [...(firstOnPath === undefined ? [] : [firstOnPath]), ...inPrefixes];
  const found = await Promise.all(candidates.map((file) => versionOf(file, signal)));
  return found
    .filter((binary) => binary !== undefined)
    .toSorted((left, right) => {
      return right.version.localeCompare(left.version, 'en', { numeric: true });
    });
}

/**
 * The QEMU for `wanted`: undefined for the newest there is, a version (`7.2`, `10.0`), or a path. The newest,
 * because emulated guests of a QEMU before 9.0 lose a dirty page now and then while they migrate.
 * Throws GODWIT_HOST_LACKS naming those there are.
 */
export async function chooseQemu(
  wanted: string | undefined,
  signal?: AbortSignal,
): Promise<QemuBinary> {
  if (wanted?.includes('/') === true) {
    const binary = await versionOf(wanted, signal);
    if (binary === undefined) {
      throw godwitError('GODWIT_HOST_LACKS', { what: `a QEMU at ${wanted}` });
    }
    return binary;
  }
  const binaries = await qemuBinaries(signal);
  const chosen = binaries.find(
    ({ version }) => wanted === undefined || `${version}.`.startsWith(`${wanted}.`),
  );
  if (chosen !== undefined) return chosen;
  const have = binaries.map(({ version }) => version).join(', ') || 'none';
  throw godwitError(
    'GODWIT_HOST_LACKS',
    { what: `QEMU ${wanted ?? '7.2 or later'} (it has ${have})` },
    { hint: 'Run `npm run setup`, or install qemu-system-x86.' },
  );
}

/** The machine type that `q35` stands for in this binary, such as pc-q35-7.2. */
export async function defaultMachineType(
  binary: QemuBinary,
  signal?: AbortSignal,
): Promise<string> {
  const output = await runCommand([binary.path, '-machine', 'help'], { signal });
  const alias = /^q35\s.*\(alias of (pc-q35-[\w.-]+)\)/m.exec(output)?.[1];
  return alias ?? 'q35';
}

async function versionOf(file: string, signal?: AbortSignal): Promise<QemuBinary | undefined> {
  const output = await runCommand([file, '--version'], { signal }).catch(() => '');
  const version = /version (\d+\.\d+(\.\d+)?)/.exec(output)?.[1];
  return version === undefined ? undefined : { path: file, version };
}

async function firstExecutable(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const usable = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (usable) return file;
  }
  return undefined;
}
