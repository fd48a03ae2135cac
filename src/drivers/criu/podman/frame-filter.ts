import type { Runc } from '../runtimes/runc.ts';

/**
 * podman configures the address before CRIU restores the connections. Until then the kernel would reset a peer's
 * connection, so frames of the container's links are dropped on this host's bridges.
 */

const tableName = (token: string): string => `godwit-${token}`;

/** Commands for nft; undefined for a container without links. Pure. */
export function dropRules(token: string, macs: readonly string[]): string | undefined {
  if (macs.length === 0) return undefined;
  const rules = macs.flatMap((mac) => [`ether saddr ${mac} drop`, `ether daddr ${mac} drop`]);
  const hook = 'type filter hook prerouting priority -300;';
  const lines = ['chain arriving {', hook, ...rules, '}'];
  return [`table bridge ${tableName(token)} {`, ...lines, '}'].join('\n');
}

export async function dropFrames(
  run: Runc['run'],
  token: string,
  macs: readonly string[],
): Promise<void> {
  await passFrames(run, token);
  const rules = dropRules(token, macs);
  if (rules !== undefined) await run(['nft', rules]);
}

/** Can be repeated. */
export async function passFrames(run: Runc['run'], token: string): Promise<void> {
  const table = tableName(token);
  const known = await run(['nft', 'list', 'tables', 'bridge']);
  if (known.split('\n').some((line) => line.trim() === `table bridge ${table}`)) {
    await run(['nft', 'delete', 'table', 'bridge', table]);
  }
}
