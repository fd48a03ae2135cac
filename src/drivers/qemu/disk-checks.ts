import { godwitError } from '../../errors.ts';
import { refusal } from '../../migration/preflight/check.ts';
import type { NamedCheck } from '../../migration/preflight/check.ts';
import { isNfs } from '../../protocol/nfs-url.ts';
import { linkOfImage } from './image-header.ts';
import { codeNodes } from './spec/flash.ts';
import type { GuestSpec } from './spec/schema.ts';

/** Each image has its file here, which is whole: where it lies, the mover has found. */
export function diskChecks(
  guest: string,
  spec: GuestSpec,
  host: string,
  files: ReadonlyMap<string, string>,
): NamedCheck[] {
  const code = codeNodes(spec);
  return (spec.blockNodes ?? []).flatMap(({ node, format }) => {
    const file = files.get(node);
    // Code that was not found has been refused by name.
    if (file === undefined && code.has(node)) return [];
    if (file === undefined) {
      const facts = { host, guest, device: node, reason: 'nobody reported where its file lies' };
      return [refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'destination')];
    }
    if (format !== 'qcow2') return [];
    const reason = whyLinked(file);
    if (reason === undefined) return [];
    const error = godwitError('GODWIT_DISK_LINKED', { device: node, guest, file, reason });
    return [refusal('disks', error, 'destination')];
  });
}

/** Undefined too where it is not there yet, or cannot be read: QEMU, which opens it, then says so. */
function whyLinked(file: string): string | undefined {
  try {
    return isNfs(file) ? undefined : linkOfImage(file);
  } catch {
    return undefined;
  }
}
