import { readFile } from 'node:fs/promises';
import * as answers from '../qmp/answers.ts';
import { connectMonitor } from '../qmp/connect.ts';
import { readProcess, type QemuProcess } from './process.ts';

const GREETING_MS = 700;

/**
 * Process behind a QMP socket that no visible process names, found through the thread of its first vCPU.
 * Undefined if the socket does not answer or we may not see the process.
 */
export async function processBehind(
  guest: { readonly name: string; readonly qmp: string },
  host: string,
  signal: AbortSignal,
): Promise<QemuProcess | undefined> {
  const owner = {
    host,
    guest: guest.name,
    side: 'source' as const,
    path: guest.qmp,
    user: 'anybody' as const,
  };
  try {
    const client = await connectMonitor(owner, GREETING_MS, signal);
    try {
      const [first] = await client.query('query-cpus-fast', {}, answers.cpus, signal);
      const pid = await processOfThread(first?.['thread-id'] ?? 0);
      return pid === undefined ? undefined : await readProcess(pid);
    } finally {
      client.close();
    }
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function processOfThread(thread: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${thread}/status`, 'utf8').catch(() => '');
  const pid = Number(/^Tgid:\s+(\d+)$/m.exec(status)?.[1]);
  return Number.isSafeInteger(pid) ? pid : undefined;
}
