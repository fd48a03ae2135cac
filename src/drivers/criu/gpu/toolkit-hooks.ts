import { z } from 'zod';
import type { Obstacle } from '../obstacle.ts';

/**
 * Hooks of config.json. No program travels between hosts. Those by which NVIDIA's Container Toolkit makes a container ready
 * (CDI) have done their work once it runs: what they made is in its root file system, or mounted in its own namespace, and
 * moves with it. Pure.
 */

const hook = z.looseObject({ path: z.string(), args: z.array(z.string()).optional() });
const given = z.record(z.string(), z.array(hook).nullish());
type Hook = z.infer<typeof hook>;

/** They run in the container's mount namespace before its program does, and runc runs none of them at a restore. */
const STAGE = 'createContainer';
/** What each leaves: links, the loader's cache and its configuration, modes, a file mounted over one of /proc. */
const DONE: ReadonlySet<string> = new Set([
  'create-symlinks',
  'create-soname-symlinks',
  'update-ldcache',
  'enable-cuda-compat',
  'chmod',
  'disable-device-node-modification',
]);
/** These mount what config.json does not have, which CRIU then cannot tell from the host's. */
const LEGACY: ReadonlySet<string> = new Set([
  'nvidia-container-runtime-hook',
  'nvidia-container-toolkit',
  'nvidia-container-cli',
]);

const PLAIN_HINT = 'Start the container without hooks; Godwit’s own do their work on both hosts.';
const LEGACY_HINT =
  'Start it by CDI, which says in config.json what it mounts: `nvidia-ctk cdi generate`, and `nvidia-ctk config --in-place --set nvidia-container-runtime.mode=cdi`.';

/** Each hook that stands in the way; none of those that have done their work. */
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

/** What a program of the toolkit is asked to do; undefined of any other. */
function verbOf(program: string, args: readonly string[]): string | undefined {
  const [, first, second] = args;
  if (program === 'nvidia-cdi-hook') return first;
  return program === 'nvidia-ctk' && first === 'hook' ? second : undefined;
}
