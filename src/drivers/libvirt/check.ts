import { statfs } from 'node:fs/promises';
import { godwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import type { HeldDevice } from '../../port/managed.ts';
import { managerPass, managerRefusal, managerState } from '../../port/manager-checks.ts';
import type { DomainDisk, DomainFacts } from './domain-xml.ts';

/** What libvirt and this host find for or against a move; nothing is begun. */

/** Of filesystems that one host has alone: ext, XFS, Btrfs, ZFS, tmpfs, overlay, bcachefs, F2FS. */
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

/** Findings on the guest alone. */
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
 * libvirt itself refuses a disk that the other host cannot have, once the move has begun. A file on a filesystem that only
 * this host has is copied, or refused here. What is on another kind of filesystem or on a network is libvirt's to judge. */
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

/** libvirt opens them by their path there, and compares nothing. */
export function heldDevices(disks: readonly DomainDisk[]): HeldDevice[] {
  const held = disks.filter(({ kind, source }) => kind === 'block' && source.startsWith('/'));
  return held.map(({ name, source, isWritten }) => ({ name, file: source, isWritten }));
}

/** What libvirt would make of a copy that is not the same as the disk; undefined where it copies it. */
export function whyNotCopied({ format, isLinked, isShareable }: DomainDisk): string | undefined {
  if (isShareable) return 'other guests may write to it too';
  if (isLinked) return 'a copy by libvirt would lose the image below it';
  return COPIED.includes(format) ? undefined : `is of the format ${format || 'that nobody stated'}`;
}

function said(disks: readonly DomainDisk[]): string {
  const written = disks.filter(({ isWritten }) => isWritten).length;
  return written === 0 ? 'it writes to no disk' : `${written} on storage that libvirt may share`;
}

/** `unseen`: libvirt may see it, and Godwit does not. */
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
