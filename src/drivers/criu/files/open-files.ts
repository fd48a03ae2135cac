import { readFile } from 'node:fs/promises';
import { IN_MEMORY } from './ghosts.ts';
import type { Obstacle } from '../obstacle.ts';
import { filesOf } from '../host/processes.ts';

export async function fileObstacles(pids: readonly number[]): Promise<Obstacle[]> {
  const found = new Map<string, Obstacle>();
  // A process with another root sees fewer mounts than the container has.
  const tables = pids.map((pid) => readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => ''));
  const mounts = mountIds((await Promise.all(tables)).join('\n'));
  for (const pid of pids) {
    for (const [number, target] of await filesOf(pid)) {
      const obstacle =
        fileObstacle(number, target) ??
        outsideObstacle(number, target, await mountOf(pid, number, target), mounts);
      if (obstacle !== undefined) found.set(`${obstacle.device} ${obstacle.type}`, obstacle);
    }
  }
  return [...found.values()].slice(0, 32);
}

/** Mount id of an open file; undefined if it is closed by now or outside any mount. */
async function mountOf(pid: number, number: number, target: string): Promise<string | undefined> {
  if (!target.startsWith('/')) return undefined;
  const info = await readFile(`/proc/${pid}/fdinfo/${number}`, 'utf8').catch(() => '');
  return /^mnt_id:\s+(\d+)$/m.exec(info)?.[1];
}

export function mountIds(mountinfo: string): Set<string> {
  return new Set(mountinfo.split('\n').map((line) => line.split(' ', 1)[0] ?? ''));
}

const STREAMS = ['standard input', 'standard output', 'standard error'];
const STREAMS_HINT =
  'Start it detached with its standard streams on /dev/null, and let it write its log inside.';

export function fileObstacle(number: number, target: string): Obstacle | undefined {
  if (target.includes('[io_uring]')) {
    const hint = 'Start its program without io_uring (for Node.js UV_USE_IO_URING=0).';
    return { device: 'io_uring', type: 'kernel object', reason: 'CRIU cannot dump it', hint };
  }
  if (/^\/dev\/(dri\/|kfd)/.test(target)) {
    const hint = 'Stop what uses the GPU first, or leave the container where it is.';
    return { device: target, type: 'GPU', reason: 'the state of such GPUs does not move', hint };
  }
  const stream = STREAMS[number];
  if (stream === undefined) return undefined;
  const hint = STREAMS_HINT;
  if (/^\/dev\/(pts|tty)/.test(target)) {
    return { device: stream, type: 'tty', reason: 'its other end stays on this host', hint };
  }
  if (target.startsWith('pipe:') || target.startsWith('socket:')) {
    const reason = 'its other end may be a process of this host';
    return { device: stream, type: 'pipe', reason, hint };
  }
  return undefined;
}

export function outsideObstacle(
  number: number,
  target: string,
  mount: string | undefined,
  mounts: ReadonlySet<string>,
): Obstacle | undefined {
  // A memory file is in no visible mount, but CRIU supports it.
  if (mount === undefined || mounts.has(mount) || IN_MEMORY.test(target)) return undefined;
  const stream = STREAMS[number];
  const reason = `${target} was opened outside of the container’s mounts, and CRIU finds it in none`;
  const hint =
    stream === undefined
      ? 'Start the container without handing it an open file of the host; let it open its files inside.'
      : STREAMS_HINT;
  return { device: stream ?? `file ${number}`, type: 'host file', reason, hint };
}
