import { row } from './row.ts';

/** Refusals of a guest’s disks: found before anything is moved. */
export const diskErrors = {
  // Disks
  GODWIT_DISK_LOCAL: row(
    'disk {device} of {guest} ({file}) cannot move: {reason}',
    'Name the directory in which it lies in `storage` of its host: it is copied then, or stays where both hosts share it and name it. A disk that the guest can do without may be detached.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_REPLACED: row(
    'disk {device} of {guest} ({file}) cannot move: {reason}',
    'Shut the guest down and start it on the right file. Its data is in the file that its hypervisor has open (/proc/PID/fd/N).',
    false,
    4,
    422,
  ),
  GODWIT_DISK_IN_USE: row(
    'disk {device} of {guest} ({file}) cannot be copied: {reason}',
    'End the other use of the file (a second guest, an NBD server, a loop device, a mount, a backup), or put the disk on storage that both hosts see.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_LINKED: row(
    'disk {device} of {guest} ({file}) is not whole in its file: {reason}',
    'Make one image of it while the guest is shut down (`qemu-img convert -O qcow2 IMAGE WHOLE`), and start the guest on that.',
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
    'the format of disk {device} of {guest} ({file}) was never stated: {reason}',
    'Start the guest with the format given (format=raw or format=qcow2); for a backing file, `qemu-img rebase -u -F FORMAT`.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_MISSING: row(
    '{host} cannot open {device} of {guest}: {reason}',
    'Put the file there, or name its directory in `storage` of that host’s configuration.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_OVERLAID: row(
    '{host} does not write to disk {device} of {guest}: {reason}',
    'If the newest data of the guest is in the image that names the other one, start the guest by hand with that image. If it is left over from a snapshot that was merged, move it out of the storage, and recover the guest again.',
    false,
    4,
    409,
  ),
  GODWIT_DISK_PLACE: row(
    '{host} has no place for a copy of disk {device} of {guest}: {reason}',
    'Name a directory for it in `storage` of that host’s configuration, at the same path as at the source or as the only one; a file that is there already is never written over.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_SPACE: row(
    '{host} has no room for disk {device} of {guest}: it needs {needed}, and {free} are free',
    'Free room there, or add another directory to `storage` of that host’s configuration.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_FIXED: row(
    'disk {device} of {guest} ({file}) cannot be moved on its host: {reason}',
    'Put it on a plain raw or qcow2 file in one of the directories of `storage`, or move it with the guest shut down.',
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
