/** File names in the guest's directory at the destination, derived from the source's paths. Pure. */

export const QMP_SOCKET = 'qmp.sock';
export const PID_FILE = 'qemu.pid';
export const LOG_FILE = 'qemu.log';
export const PIPES = 'oob';
export const PIPES_ID = 'godwit-oob';
/** Files of the guest's `swtpm`; a guest's own files cannot have this prefix. */
export const TPM_SOCKET = 'godwit-tpm.sock';
export const TPM_LOG = 'godwit-tpm.log';
const OWN_FILES = new Set([
  QMP_SOCKET,
  PID_FILE,
  LOG_FILE,
  `${PIPES}.in`,
  `${PIPES}.out`,
  'guest.json',
  'incoming',
  'wire.sock',
  'disks.sock',
  'bases.sock',
  'compare.sock',
]);

export function isOwnFile(name: string): boolean {
  return OWN_FILES.has(name) || /^\.|^godwit/i.test(name);
}

export class FileNames {
  readonly #used = new Set<string>();

  /** Last part of `path`, sanitized, with a number if it is taken. */
  take(path: string): string {
    const base = (path.split('/').findLast((part) => part !== '') ?? 'file')
      .replaceAll(/[^A-Za-z0-9._@:+-]/g, '_')
      .replace(/^[^A-Za-z0-9_]+/, '')
      .slice(0, 80);
    const clean = base === '' ? 'file' : base;
    let name = clean;
    for (let number = 2; this.#used.has(name) || isOwnFile(name); number++)
      name = `${number}-${clean}`;
    this.#used.add(name);
    return name;
  }
}
