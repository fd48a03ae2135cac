import { readFile, readlink } from 'node:fs/promises';

/** CAP_IPC_LOCK (linux/capability.h): no limit of locked memory. */
const IPC_LOCK = 14n;
/** The initial user namespace (linux/proc_ns.h). In another one, root's capabilities do not lift the limit. */
const OWN_NAMESPACE = 'user:[4026531837]';
/** Default of net.ipv4.tcp_wmem. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;

/** Memory that a process may lock: its limit or Infinity; 0 if unknown. */
export async function lockableBytes(pid: number, proc = '/proc'): Promise<number> {
  const [status, limits] = await Promise.all(
    ['status', 'limits'].map((file) => readFile(`${proc}/${pid}/${file}`, 'utf8').catch(() => '')),
  );
  const namespace = await readlink(`${proc}/${pid}/ns/user`).catch(() => '');
  const [, effective = '0'] = /^CapEff:\s*([0-9a-f]+)$/m.exec(status ?? '') ?? [];
  const canLockAll = ((BigInt(`0x${effective}`) >> IPC_LOCK) & 1n) === 1n;
  if (canLockAll && namespace === OWN_NAMESPACE) return Number.MAX_SAFE_INTEGER;
  const [, soft = '0'] = /^Max locked memory\s+(\S+)/m.exec(limits ?? '') ?? [];
  return soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft);
}

/** Send buffer of a TCP connection, whose pages stay locked until the peer has them. */
export async function sendBufferBytes(file = '/proc/sys/net/ipv4/tcp_wmem'): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const most = Number(text.trim().split(/\s+/)[2]);
  return Number.isSafeInteger(most) && most > 0 ? most : MAX_UNSENT_BYTES;
}
