import { row } from './row.ts';

/** Refusals of a guest’s disks: found before anything is moved. */
export const diskErrors = {
  // Disks
  GODWIT_DISK_LOCAL: row(
    'disk {device} of {guest} ({file}) cannot move: {reason}',
    "Add the image's directory to `storage` in the configuration of its host, so that Godwit can copy the disk. If both hosts share the directory, add it on both, and the disk stays where it is. You can also detach a disk that the guest does not need.",
    false,
    4,
    422,
  ),
  GODWIT_DISK_REPLACED: row(
    'disk {device} of {guest} ({file}) cannot move: {reason}',
    "Shut the guest down and start it with the right file. The guest's data is in the file that its hypervisor has open (/proc/PID/fd/N).",
    false,
    4,
    422,
  ),
  GODWIT_DISK_IN_USE: row(
    'disk {device} of {guest} ({file}) cannot be copied: {reason}',
    'Stop the other user of the file (a second guest, an NBD server, a loop device, a mount, a backup), or put the disk on storage that both hosts share.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_LINKED: row(
    'disk {device} of {guest} ({file}) is not complete in one file: {reason}',
    'Shut the guest down, make one image of the disk (`qemu-img convert -O qcow2 IMAGE WHOLE`), and start the guest with it.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_CACHE: row(
    'disk {device} of {guest} ({file}) cannot be handed to another host: {reason}',
    'Start the guest with cache=none, or with cache=writeback and drop-cache on.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_FORMAT: row(
    'the format of disk {device} of {guest} ({file}) is not specified: {reason}',
    'Start the guest with an explicit format (format=raw or format=qcow2). For a backing file, run `qemu-img rebase -u -F FORMAT`.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_MISSING: row(
    '{host} cannot open {device} of {guest}: {reason}',
    "Put the file there, or add its directory to `storage` in that host's configuration.",
    false,
    4,
    422,
  ),
  GODWIT_DISK_OVERLAID: row(
    '{host} does not write to disk {device} of {guest}: {reason}',
    "If the guest's newest data is in the overlay, start the guest by hand with that image. If the overlay is left over from a merged snapshot, move it out of the storage and recover the guest again.",
    false,
    4,
    409,
  ),
  GODWIT_DISK_PLACE: row(
    '{host} has no place for a copy of disk {device} of {guest}: {reason}',
    "Add a directory to `storage` in that host's configuration: either the path that the source uses, or one directory for all copies. Godwit never overwrites an existing file.",
    false,
    4,
    422,
  ),
  GODWIT_DISK_SPACE: row(
    '{host} does not have enough space for disk {device} of {guest}: {needed} needed, {free} free',
    "Free space there, or add another directory to `storage` in that host's configuration.",
    false,
    4,
    422,
  ),
  GODWIT_DISK_FIXED: row(
    'disk {device} of {guest} ({file}) cannot be moved on its host: {reason}',
    'Put the disk in a raw or qcow2 file in one of the `storage` directories, or move it while the guest is shut down.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_MOVING: row(
    'disk {device} of {guest} is being moved to another place: {id}',
    'Follow it with `godwit watch {id}`, or stop it with `godwit cancel {id}`.',
    true,
    4,
    409,
  ),
} as const;
