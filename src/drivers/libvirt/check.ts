import { statfs } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { HeldDevice } from '../../port/managed.ts';
import { managerPass, managerRefusal, managerState } from '../../port/manager-checks.ts';
import type { DomainDisk, DomainFacts } from './domain-xml.ts';

/** Checks of libvirt and this host for a move; changes nothing. */

/** Magic numbers of filesystems that are local to one host. */
const ALONE: ReadonlyMap<number, string> = new Map([
  [0xef53, 'ext4'],
  [0x58465342, 'XFS'],
  [0x9123683e, 'Btrfs'],
  [0x2fc12fc1, 'ZFS'],
  [0x01021994, 'tmpfs'],
  [0x794c7630, 'overlay'],
  [0xca451a4e, 'bcachefs'],
  [0xf2f52010, 'F2FS'],
]);

/** Formats that a copy keeps. */
const COPIED = ['raw', 'qcow2'];

export function guestChecks(name: string, state: string, facts: DomainFacts): Check[] {
  const isRunning = state === 'running' || state === 'paused';
  return [
    managerState(name, state, isRunning),
    ...(facts.unmovable.length === 0 ? [] : [unmovable(name, facts.unmovable)]),
  ];
}

function unmovable(guest: string, reasons: readonly string[]): Check {
  const [device, type] = [`${reasons.length} of its devices`, 'of the host'];
  const facts = { device, type, guest, reason: reasons.join('; ') };
  return managerRefusal('devices', 'source', godwitError('GODWIT_DEVICE_UNMOVABLE', facts));
}

/**
 * libvirt refuses a disk that is missing at the other host only during the move. A file on a local filesystem is
 * copied or refused here. Other filesystems and network storage are left to libvirt.
 */
export async function diskChecks(guest: string, disks: readonly DomainDisk[]): Promise<Check[]> {
  const checks: Check[] = [];
  for (const disk of disks) {
    if (disk.kind !== 'file' || disk.source === '' || !disk.isWritten) continue;
    const lies = await whereItLies(disk.source);
    if (lies.is !== 'alone') continue;
    const why = whyNotCopied(disk);
    if (why === undefined) {
      const evidence = `${disk.name} lies on ${lies.on}, which no other host has: it is copied`;
      checks.push(managerPass('disks', 'source', evidence));
      continue;
    }
    const reason = `it lies on ${lies.on}, which no other host has, and ${why}`;
    const error = godwitError(
      'GODWIT_DISK_LOCAL',
      { device: disk.name, guest, file: disk.source, reason },
      { hint: 'Put it on storage that both hosts share (NFS, Ceph), at the same path.' },
    );
    checks.push(managerRefusal('disks', 'source', error));
  }
  return checks.length > 0 ? checks : [managerPass('disks', 'source', said(disks))];
}

/** libvirt opens them by path at the destination and compares nothing. */
export function heldDevices(disks: readonly DomainDisk[]): HeldDevice[] {
  const held = disks.filter(({ kind, source }) => kind === 'block' && source.startsWith('/'));
  return held.map(({ name, source, isWritten }) => ({ name, file: source, isWritten }));
}

/** Reason why libvirt's copy would differ from the disk; undefined if it can be copied. */
export function whyNotCopied({
  format,
  isLinked,
  isShareable,
  isNeverFlushed,
}: DomainDisk): string | undefined {
  if (isShareable) return 'other guests may write to it too';
  if (isNeverFlushed === true)
    return 'with cache=unsafe its copy would not be on the disk of the destination when the original is removed';
  if (isLinked) return 'a copy by libvirt would lose the image below it';
  return COPIED.includes(format) ? undefined : `is of the format ${format || 'that nobody stated'}`;
}

function said(disks: readonly DomainDisk[]): string {
  const written = disks.filter(({ isWritten }) => isWritten).length;
  return written === 0 ? 'it writes to no disk' : `${written} on storage that libvirt may share`;
}

/** `unseen`: Godwit does not see the file, but libvirt may. */
export async function whereItLies(
  file: string,
): Promise<
  { readonly is: 'alone'; readonly on: string } | { readonly is: 'elsewhere' | 'unseen' }
> {
  try {
    const on = ALONE.get((await statfs(file)).type);
    return on === undefined ? { is: 'elsewhere' } : { is: 'alone', on };
  } catch {
    return { is: 'unseen' };
  }
}
