import { readFile } from 'node:fs/promises';
import { godwitError } from '../../../errors.ts';
import { refusal, type NamedCheck } from '../../../migration/preflight/check.ts';

/** Kernel privileges that runc and CRIU need besides root, and that the packaged unit removes from other uses. */

/** Numbers from linux/capability.h. */
const NEEDED = {
  CAP_SETPCAP: 8n,
  CAP_NET_ADMIN: 12n,
  CAP_SYS_CHROOT: 18n,
  CAP_SYS_PTRACE: 19n,
  CAP_SYS_ADMIN: 21n,
  CAP_MKNOD: 27n,
} as const;

const HINT =
  'If systemd runs the agent, give it the drop-in of containers: `install -D -m 644 -t /etc/systemd/system/godwit-agent.service.d /usr/lib/godwit/containers.conf`, `systemctl daemon-reload`, `systemctl restart godwit-agent` (docs/drivers/criu.md, “Under systemd”).';

export function lacksOf(status: string): string[] {
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status) ?? [];
  const bits = BigInt(`0x${effective}`);
  return Object.entries(NEEDED).flatMap(([name, bit]) => (((bits >> bit) & 1n) === 1n ? [] : name));
}

export function isFiltered(status: string): boolean {
  return /^Seccomp:\s+[12]$/m.test(status);
}

export async function judgePrivileges(
  host: string,
  side: 'source' | 'destination',
  status?: string,
): Promise<NamedCheck | undefined> {
  const own = status ?? (await readFile('/proc/self/status', 'utf8').catch(() => ''));
  const lacks = lacksOf(own);
  if (lacks.length > 0) {
    const facts = { what: `moving containers of ${host}`, needs: lacks.join(', ') };
    return refusal('stream', godwitError('GODWIT_PRIVILEGE', facts, { hint: HINT }), side);
  }
  if (!isFiltered(own)) return undefined;
  const reason = `Godwit runs on ${host} under a filter of system calls: the kernel does not let CRIU past that of a container then, and one that comes would get it too`;
  const facts = { what: `moving containers of ${host}`, reason };
  return refusal('stream', godwitError('GODWIT_CAPABILITY', facts, { hint: HINT }), side);
}
