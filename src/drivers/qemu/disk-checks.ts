import { godwitError, toGodwitError } from '../../errors.ts';
import { refusal, type NamedCheck } from '../../migration/preflight/check.ts';
import type { DestinationOptions } from '../port/direct.ts';
import { isOnNetwork } from '../../protocol/network-file.ts';
import { HEADER_BYTES, linkOfHeader, linkOfImage } from './image-header.ts';
import { codeNodes } from './spec/flash.ts';
import type { GuestSpec } from './spec/schema.ts';

/** Each image has its file here, which is whole: where it lies, the mover has found. */
export async function diskChecks(
  guest: string,
  spec: GuestSpec,
  { host, headOf }: Pick<DestinationOptions, 'host' | 'headOf'>,
  files: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<NamedCheck[]> {
  const code = codeNodes(spec);
  const checks: NamedCheck[] = [];
  for (const { node, format } of spec.blockNodes ?? []) {
    const file = files.get(node);
    if (file === undefined) {
      // Code that was not found has been refused by name.
      if (code.has(node)) continue;
      const facts = { host, guest, device: node, reason: 'nobody reported where its file lies' };
      checks.push(refusal('disks', godwitError('GODWIT_DISK_MISSING', facts), 'destination'));
      continue;
    }
    if (format !== 'qcow2') continue;
    const reason = isOnNetwork(file) ? await whyLinkedThere(file, headOf, signal) : whyLinked(file);
    if (reason === undefined) continue;
    const error = godwitError('GODWIT_DISK_LINKED', { device: node, guest, file, reason });
    checks.push(refusal('disks', error, 'destination'));
  }
  return checks;
}

/** Undefined too where it is not there yet. What cannot be looked at here, QEMU may still be able to read. */
function whyLinked(file: string): string | undefined {
  try {
    return linkOfImage(file);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return `its header could not be looked at: ${toGodwitError(thrown).message}`;
  }
}

/** What QEMU opens by itself; what cannot be looked at now, QEMU may read a moment later. */
async function whyLinkedThere(
  file: string,
  headOf: DestinationOptions['headOf'],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (headOf === undefined) return 'its header cannot be looked at here';
  try {
    return linkOfHeader(await headOf(file, HEADER_BYTES, signal));
  } catch (thrown) {
    signal.throwIfAborted();
    return `its header could not be looked at: ${toGodwitError(thrown).message}`;
  }
}
