import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { World } from './world.ts';

export const PROGRAM = fileURLToPath(new URL('../../../godwit', import.meta.url));
const DEADLINE_MS = 120_000;

export interface CommandResult {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `./godwit` against the lab of a world, to its end. */
export async function godwit(world: World, ...args: readonly string[]): Promise<CommandResult> {
  return runToEnd([PROGRAM, ...args], { GODWIT_LAB: world.lab.name, NO_COLOR: '1' });
}

/** Runs a command line to its end. */
export async function runToEnd(
  [program = '', ...args]: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: DEADLINE_MS,
  });
  const said = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.err += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { exit: code ?? -1, ...said };
}
