import { flushCompileCache, registerHooks, type ResolveFnOutput } from 'node:module';
import { homedir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { PRODUCT_VERSION } from '../../protocol/version.ts';

/** A process that lives long is kept small: its figures are in bench/footprint. */

/** Node's flags for it: a small nursery, since it makes little garbage, and no second compiler, since little of it is hot. */
export const SMALL_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--no-maglev'];
/**
 * A mover's and an agent's: no optimising compiler at all (8 MB, with what it works in), for as long as nothing of it is hot;
 * and they may ask for a collection of all garbage.
 */
export const UNOPTIMISED_FLAGS: readonly string[] = [...SMALL_FLAGS, '--no-opt', '--expose-gc'];
/** One arena of malloc instead of one per thread. */
export const SMALL_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/**
 * An agent's: what takes two pages or more, such as a request's body, has pages of its own, which the kernel gets back once
 * it is freed. In the arena, something small that lives longer would keep them: 38 MiB after one burst of requests.
 */
export const AGENT_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: '8192',
};
/**
 * A controller's: what a TLS connection reads into (64 KiB, of which it fills little) has pages of its own, which count once
 * they are filled. Larger than an agent's: it has thousands of connections, and the kernel bounds the mappings of a process.
 */
export const CONTROLLER_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: '32768',
};
/** Samples of thousands of hosts, and hundreds of drains: a small nursery would be collected all the time, and what is hot is worth compiling. */
export const CONTROLLER_FLAGS: readonly string[] = ['--max-semi-space-size=8'];
/** A mover's, which its agent starts: each of its buffers would have to be mapped and unmapped. */
export const MOVER_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: undefined,
};

/** The last word of a watcher that is started only to have its sources compiled, and ends at once. */
export const COMPILES_AHEAD = 'compile-ahead';

/**
 * Resolves the imports of Godwit's sources and of zod by their text alone, and loads one of zod's 50 languages. Node otherwise
 * looks up the file, its links and its package for each import: a quarter of the processor time that a mover takes to load.
 * Called before anything else is imported.
 */
export function resolveImportsDirectly(): void {
  registerHooks({
    resolve(name, context, next) {
      const { parentURL, conditions } = context;
      if (parentURL === undefined || !name.startsWith('.')) return next(name, context);
      // Only sources import a name with this ending: Node refuses it below node_modules.
      if (name.endsWith('.ts')) return found(name, parentURL, 'module-typescript');
      if (parentURL.startsWith(FOLDER)) return found(name, parentURL, 'module');
      if (!isOfZod(parentURL) || !conditions.includes('import')) return next(name, context);
      return found(name.replace(/locales\/index\.js$/, 'locales/en.js'), parentURL, 'module');
    },
  });
}

/** In a package, the one of all programs; in a checkout, one whose files import sources alone. */
const FOLDER = new URL('.', import.meta.url).href;
/** The files of zod that are modules; each imports the others by their full names. */
const isOfZod = (url: string): boolean => url.includes('/node_modules/zod/') && url.endsWith('.js');

function found(name: string, parentURL: string, format: string): ResolveFnOutput {
  return { url: new URL(name, parentURL).href, format, shortCircuit: true };
}

/**
 * Collects what a mover's start has left, while it waits for others and the guest runs: V8 itself waits for 5 MB more, and
 * may do so in the blackout. Nothing without UNOPTIMISED_FLAGS, as in a test.
 */
export function collectGarbage(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync' });
}

/**
 * Called before the guest's bytes pass through this process: from now on V8 optimises what is hot, in its threads too.
 * Only the middle compiler is used: V8 has not returned the memory of the costly one after 1.5 GiB.
 */
export function optimiseWhatIsHot(): void {
  setFlagsFromString('--maglev');
  // V8 takes the buffers that bytes are read and decompressed into for growth of the heap, and marks it anew for them: 79
  // times in two moves of 1 GiB, 19 times where it may grow more. The nursery's collector frees them all the same.
  setFlagsFromString('--heap-growing-percent=200');
}

const MARK = 'GODWIT_RESTARTED';

/**
 * Begins again in the same process with the `wanted` flags and the `environment` of a small one and with node's compile cache,
 * unless it has them: all must be there before the first import.
 */
export function restartSmall(environment = SMALL_ENVIRONMENT, wanted = SMALL_FLAGS): void {
  const cache = process.env['NODE_COMPILE_CACHE'];
  const flags = wanted.filter((flag) => !process.execArgv.includes(flag));
  const isSet = Object.entries(environment).every(([name, value]) => process.env[name] === value);
  if (flags.length === 0 && cache !== undefined && isSet) return;
  const small = { ...environment, NODE_COMPILE_CACHE: cache ?? compileCache() };
  restart([...flags, ...process.execArgv], small);
}

/** Where `./godwit` keeps it too. */
function compileCache(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(caches, 'godwit', `compile-${PRODUCT_VERSION}`);
}

/**
 * Begins again in the same process when sources had to be compiled on the way here: the compiler would stay in memory
 * (30 MB) for as long as the process lives, and the next one finds everything in node's compile cache.
 */
export function restartCompiled(): void {
  const before = process.env[MARK];
  // Not for the processes that this one starts.
  delete process.env[MARK];
  const { moduleLoadList } = process as unknown as { readonly moduleLoadList?: readonly string[] };
  const compiled = moduleLoadList?.some((name) => name.includes('amaro')) ?? false;
  if (!compiled || before !== undefined) return;
  flushCompileCache();
  restart(process.execArgv, { [MARK]: '1' });
}

function restart(flags: readonly string[], environment: Readonly<Record<string, string>>): void {
  const argv = [process.execPath, ...flags, ...process.argv.slice(1)];
  process.execve?.(process.execPath, argv, { ...process.env, ...environment });
}
