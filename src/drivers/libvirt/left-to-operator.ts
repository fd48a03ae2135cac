import { GodwitError, godwitError, toGodwitError } from '../../errors.ts';
import type { Domain, LibvirtClient } from './client.ts';
import { LibvirtRefusal } from './rpc/connection.ts';

/**
 * Copy or definition of a guest at a host where the guest does not run. Its autostart is turned off, so that a
 * boot does not start the guest twice, and the report names it for the operator.
 */

interface LeftoverCopy {
  readonly host: string;
  readonly guest: string;
  readonly why: string;
}

/** Turns the autostart off and returns the error that names the leftover. Can be repeated. */
export async function leave(
  client: LibvirtClient,
  domain: Domain,
  { host, guest, why }: LeftoverCopy,
  signal: AbortSignal,
): Promise<GodwitError> {
  const autostart = await endAutostart(client, domain, signal);
  const isCopy = domain.id !== -1;
  const facts = { hypervisor: 'libvirt', host, command: isCopy ? 'destroy' : 'undefine' };
  const what = isCopy
    ? `a paused copy of ${guest} there${await withDefinition(client, domain, signal)}`
    : `a definition of ${guest} there`;
  const reason = `${what} is left to you, since ${why}; ${autostart}`;
  if (isCopy) return godwitError('GODWIT_HYPERVISOR', { ...facts, reason });
  // The running guest may use the same firmware variables and TPM state on shared storage.
  const hint = `Look at it (\`virsh dumpxml --inactive ${guest}\`). If you do not need it, at {host}: \`virsh undefine ${guest} --keep-nvram\`, with \`--keep-tpm\` if it has a TPM and libvirt is 8.9 or newer.`;
  return godwitError('GODWIT_HYPERVISOR', { ...facts, reason }, { hint });
}

/** Ending a copy leaves its definition, which must be removed too. */
export async function withDefinition(
  client: LibvirtClient,
  domain: Domain,
  signal: AbortSignal,
): Promise<string> {
  return (await client.isPersistent(domain, signal)) ? ', with its definition,' : '';
}

export async function endAutostart(
  client: LibvirtClient,
  domain: Domain,
  signal: AbortSignal,
): Promise<string> {
  if (!(await client.autostart(domain, signal))) return 'its autostart is off';
  const off = client.setAutostart(domain, false, signal);
  const why = await refusal('does not turn it off', off);
  if (why === undefined) return 'its autostart is off';
  return `its autostart is on, so a boot of that host starts the guest a second time: ${why}`;
}

/** Undefined if libvirt did it; libvirt's message if it refuses. */
export async function refusal(what: string, asked: Promise<void>): Promise<string | undefined> {
  try {
    await asked;
    return undefined;
  } catch (thrown) {
    if (thrown instanceof LibvirtRefusal) return `libvirt ${what}: ${thrown.message}`;
    throw thrown;
  }
}

/** Combines two errors: the first decides about a retry, the second has the operator's hint. */
export function both(thrown: unknown, { message, hint }: GodwitError): GodwitError {
  const error = toGodwitError(thrown);
  const all = { ...error.toJSON(), message: `${error.message}; ${message}`.slice(0, 8192), hint };
  return new GodwitError(all, { cause: thrown });
}
