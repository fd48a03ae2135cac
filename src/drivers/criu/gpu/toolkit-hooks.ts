import { z } from 'zod';
import type { Obstacle } from '../obstacle.ts';

/**
 * Hooks in config.json. Programs do not move between hosts. Hooks of NVIDIA's Container Toolkit (CDI) have
 * finished once the container runs: their results are in the root file system or mount namespace and move with
 * it. Pure.
 */

const hook = z.looseObject({ path: z.string(), args: z.array(z.string()).optional() });
const given = z.record(z.string(), z.array(hook).nullish());
type Hook = z.infer<typeof hook>;

/** Run in the container's mount namespace before its program; runc does not run them at a restore. */
const STAGE = 'createContainer';
/** Hooks that only leave links, loader cache and configuration, modes, or a file mounted over one in /proc. */
const DONE: ReadonlySet<string> = new Set([
  'create-symlinks',
  'create-soname-symlinks',
  'update-ldcache',
  'enable-cuda-compat',
  'chmod',
  'disable-device-node-modification',
]);
/** Mount paths that are not in config.json, so CRIU cannot distinguish them from the host's. */
const LEGACY: ReadonlySet<string> = new Set([
  'nvidia-container-runtime-hook',
  'nvidia-container-toolkit',
  'nvidia-container-cli',
]);

const PLAIN_HINT = 'Start the container without hooks; Godwit’s own do their work on both hosts.';
const LEGACY_HINT =
  'Start it by CDI, which says in config.json what it mounts: `nvidia-ctk cdi generate`, and `nvidia-ctk config --in-place --set nvidia-container-runtime.mode=cdi`.';

export function hookObstacles(hooks: unknown): Obstacle[] {
  if (hooks === undefined || hooks === null) return [];
  const parsed = given.safeParse(hooks);
  if (!parsed.success)
    return [
      { device: 'hooks', type: 'programs', reason: 'they are in no known form', hint: PLAIN_HINT },
    ];
  const all = Object.entries(parsed.data).flatMap(([stage, list]) =>
    (list ?? []).map((each) => obstacleOf(stage, each)),
  );
  return all.filter((each) => each !== undefined);
}

function obstacleOf(stage: string, { path, args = [] }: Hook): Obstacle | undefined {
  const program = path.split('/').at(-1) ?? '';
  const verb = verbOf(program, args);
  if (stage === STAGE && verb !== undefined && DONE.has(verb)) return undefined;
  const device = `the hook ${[program, verb].filter((each) => each !== undefined).join(' ')}`.slice(
    0,
    200,
  );
  const type = 'program';
  if (LEGACY.has(program)) {
    const reason = 'it mounts the driver’s files where config.json does not say so';
    return { device, type, reason, hint: LEGACY_HINT };
  }
  const reason = `no program travels between hosts, and what it does (${stage}) is not known`;
  if (verb === undefined) return { device, type, reason, hint: PLAIN_HINT };
  const hint = `Start the container without it: \`nvidia-ctk cdi generate --disable-hook ${verb}\`.`;
  return { device, type, reason, hint };
}

function verbOf(program: string, args: readonly string[]): string | undefined {
  const [, first, second] = args;
  if (program === 'nvidia-cdi-hook') return first;
  return program === 'nvidia-ctk' && first === 'hook' ? second : undefined;
}
