/** Redis of Debian in a container of the lab, and a client that writes to it. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { layerDirectory } from '../../../lab/container/layer.ts';
import type { ContainerProgram } from '../../../lab/container/config.ts';
import { runCommand } from '../../../lab/command.ts';
import type { Lab } from '../../../lab/state.ts';
import { openAskedClient } from './asked-client.ts';

const SETUP = fileURLToPath(new URL('../../../tools/setup.sh', import.meta.url));
const CLIENT = fileURLToPath(new URL('redis-main.ts', import.meta.url));
const PORT = 6379;

/** Brings Redis where it is missing. Each write is synced to the file in /data before it is acknowledged. */
export async function redisProgram(): Promise<ContainerProgram> {
  await runCommand(['bash', SETUP, '--only', 'redis'], { deadlineMs: 300_000 });
  const durable = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  const open = ['--bind', '0.0.0.0', '--port', String(PORT), '--protected-mode', 'no'];
  const args = ['/usr/bin/redis-server', ...open, '--dir', '/data', ...durable];
  return { layer: path.join(layerDirectory(), 'redis'), args };
}

const look = z.object({
  /** Acknowledged steps of each connection. */
  steps: z.array(z.number()),
  /** Largest time without an answer since it was told to write, ms. */
  gapMs: z.number(),
  wrong: z.array(z.string()),
});
const judged = z.object({ wrong: z.array(z.string()), ended: z.number().optional() });

export interface RedisClient {
  /** Data that is not written again: about 24 MiB. */
  fill(): Promise<void>;
  write(): Promise<void>;
  /** Resolves once all that was sent is answered. */
  pause(): Promise<void>;
  look(): Promise<z.infer<typeof look>>;
  /** What is not there as it was acknowledged, in words; to be asked while it pauses. */
  check(): Promise<readonly string[]>;
  /** Connects anew; how many connections had ended, and what is not there as it was acknowledged. */
  again(): Promise<{ readonly ended: number; readonly wrong: readonly string[] }>;
  stop(): Promise<void>;
}

export async function openRedisClient(lab: Lab, address: string): Promise<RedisClient> {
  const { ask, stop } = await openAskedClient(lab, CLIENT, [address, String(PORT)]);
  return {
    fill: async () => void (await ask('fill')),
    write: async () => void (await ask('write')),
    pause: async () => void (await ask('pause')),
    look: async () => look.parse(await ask('look')),
    check: async () => judged.parse(await ask('check')).wrong,
    again: async () => {
      const { ended = 0, wrong } = judged.parse(await ask('again'));
      return { ended, wrong };
    },
    stop,
  };
}
