import { spawn } from 'node:child_process';
import type { z } from 'zod';
import { godwitError } from '../errors.ts';

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

export interface IpAnswer {
  readonly status: number;
  readonly output: string;
  readonly reason: string;
}

const PACKAGES = {
  ip: 'iproute2',
  bridge: 'iproute2',
  ss: 'iproute2',
  'ovs-vsctl': 'openvswitch-switch',
  conntrack: 'conntrack',
  tc: 'iproute2',
  nft: 'nftables',
  'iptables-save': 'iptables',
  'ip6tables-save': 'iptables',
  'ebtables-save': 'ebtables',
} as const;
export type NetworkTool = keyof typeof PACKAGES;

export function ip(words: readonly string[], signal: AbortSignal): Promise<IpAnswer> {
  return networkTool('ip', words, signal);
}

export type Ip = typeof ip;

/** Parsed list of `ip`, empty without output. Rejects other output. */
export async function listedBy<T>(
  run: Ip,
  shape: z.ZodType<T[]>,
  words: readonly string[],
  signal: AbortSignal,
): Promise<T[]> {
  const { status, output } = await run(['-j', ...words], signal);
  return status !== 0 || output.trim() === '' ? [] : shape.parse(JSON.parse(output));
}

/**
 * Runs a network tool without a shell, and ends it on the signal. GODWIT_HOST_LACKS if it is missing. `input`: the
 * tool starts at once and gets this text once it is known.
 */
export function networkTool(
  tool: NetworkTool,
  words: readonly string[],
  signal: AbortSignal,
  input?: Promise<string>,
): Promise<IpAnswer> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, words, { stdio: ['pipe', 'pipe', 'pipe'], signal });
    // A tool that has ended reports the cause by its status.
    child.stdin.on('error', () => undefined);
    if (input === undefined) child.stdin.end();
    else void input.then((text) => child.stdin.end(text));
    const chunks: Buffer[] = [];
    const errors: Buffer[] = [];
    let size = 0;
    const keep = (list: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_OUTPUT_BYTES) child.kill('SIGKILL');
      else list.push(chunk);
    };
    child.stdout.on('data', keep(chunks));
    child.stderr.on('data', keep(errors));
    child.on('error', (cause: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (cause.code === 'ENOENT') {
        const what = `\`${tool}\` (package ${PACKAGES[tool]})`;
        reject(godwitError('GODWIT_HOST_LACKS', { what }, { cause }));
      } else reject(cause);
    });
    child.on('close', (status) => {
      resolve({
        status: status ?? 255,
        output: Buffer.concat(chunks).toString(),
        reason: Buffer.concat(errors).toString().trim().slice(0, 1024),
      });
    });
  });
}
