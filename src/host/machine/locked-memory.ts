import { readFile, readlink } from 'node:fs/promises';

/** CAP_IPC_LOCK (linux/capability.h): whoever has it may lock as much as there is. */
const IPC_LOCK = 14n;
/** The machine's own user namespace (linux/proc_ns.h). In another, every process of its root has all capabilities, and they do not lift the limit. */
const OWN_NAMESPACE = 'user:[4026531837]';
/** What the kernel lets a socket hold at most where it does not say (net.ipv4.tcp_wmem). */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;

/** As much memory as a process may lock: its limit, or without bound. 0 where nothing can be read of it. */
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

/** What one TCP connection may have under way: pages of it stay locked until the other end has them. */
export async function sendBufferBytes(file = '/proc/sys/net/ipv4/tcp_wmem'): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const most = Number(text.trim().split(/\s+/)[2]);
  return Number.isSafeInteger(most) && most > 0 ? most : MAX_UNSENT_BYTES;
}
