import { flushCompileCache, registerHooks, type ResolveFnOutput } from 'node:module';
import { homedir } from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { PRODUCT_VERSION } from '../../protocol/version.ts';

/** Settings that keep long-lived processes small; figures are in bench/footprint. */

/** Node's flags: a small nursery for little garbage, and no second compiler for little hot code. */
export const SMALL_FLAGS: readonly string[] = ['--max-semi-space-size=1', '--no-maglev'];
/**
 * Flags of movers and agents: no optimising compiler (8 MB with its data) until something is hot, and access to full
 * garbage collections.
 */
export const UNOPTIMISED_FLAGS: readonly string[] = [...SMALL_FLAGS, '--no-opt', '--expose-gc'];
/** One arena of malloc instead of one per thread. */
export const SMALL_ENVIRONMENT: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };

/**
 * The agents' allocations of two pages or more, such as request bodies, get separate pages that are returned when
 * freed. In the arena, small long-lived allocations would keep them: 38 MiB after one burst of requests.
 */
export const AGENT_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: '8192',
};
/**
 * The controllers' TLS read buffers (64 KiB, mostly empty) get separate pages, which count only when filled. The
 * threshold is higher than an agent's, because of thousands of connections and the kernel's limit of mappings.
 */
export const CONTROLLER_ENVIRONMENT: Readonly<Record<string, string>> = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: '32768',
};
/**
 * A controller's small nursery would be collected all the time with thousands of hosts' samples, and hot code is worth
 * compiling.
 */
export const CONTROLLER_FLAGS: readonly string[] = ['--max-semi-space-size=8'];
/** Separate pages would cost a mover a map and unmap per buffer. */
export const MOVER_ENVIRONMENT: NodeJS.ProcessEnv = {
  ...SMALL_ENVIRONMENT,
  MALLOC_MMAP_THRESHOLD_: undefined,
};

/** Argument of a watcher that only compiles its sources and exits. */
export const COMPILES_AHEAD = 'compile-ahead';

/**
 * Resolves imports of Godwit's sources and of zod by text, and loads one of zod's 50 languages. Node's lookups of file,
 * links and package per import take a quarter of a mover's loading time. Call before any other import.
 */
export function resolveImportsDirectly(): void {
  registerHooks({
    resolve(name, context, next) {
      const { parentURL, conditions } = context;
      if (parentURL === undefined || !name.startsWith('.')) return next(name, context);
      if (name.endsWith('.ts')) return found(name, parentURL, 'module-typescript');
      if (parentURL.startsWith(FOLDER)) return found(name, parentURL, 'module');
      if (!isOfZod(parentURL) || !conditions.includes('import')) return next(name, context);
      return found(name.replace(/locales\/index\.js$/, 'locales/en.js'), parentURL, 'module');
    },
  });
}

/** In a package the folder of all programs; in a checkout one whose files import only sources. */
const FOLDER = new URL('.', import.meta.url).href;
/** zod's modules, which import each other by full names. */
const isOfZod = (url: string): boolean => url.includes('/node_modules/zod/') && url.endsWith('.js');

function found(name: string, parentURL: string, format: string): ResolveFnOutput {
  return { url: new URL(name, parentURL).href, format, shortCircuit: true };
}

/**
 * Collects the garbage of a mover's start while it waits for others and the guest runs; V8 would wait for 5 MB more,
 * perhaps until the blackout. Does nothing without UNOPTIMISED_FLAGS, as in tests.
 */
export function collectGarbage(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync' });
}

/**
 * Call before the guest's bytes pass through this process: V8 then optimises hot code, in threads as well. Only with
 * the middle compiler, because V8 kept the memory of the top one even after 1.5 GiB.
 */
export function optimiseWhatIsHot(): void {
  setFlagsFromString('--maglev');
  // V8 counts read and decompression buffers as heap growth and marks the heap for them: 79 times in two moves of 1
  // GiB, 19 times with this setting. The nursery's collector frees them in either case.
  setFlagsFromString('--heap-growing-percent=200');
}

const MARK = 'GODWIT_RESTARTED';

/**
 * Restarts in the same process with the `wanted` flags, the small `environment` and Node's compile cache, unless it has
 * them: they must be set before the first import.
 */
export function restartSmall(environment = SMALL_ENVIRONMENT, wanted = SMALL_FLAGS): void {
  const cache = process.env['NODE_COMPILE_CACHE'];
  const flags = wanted.filter((flag) => !process.execArgv.includes(flag));
  const isSet = Object.entries(environment).every(([name, value]) => process.env[name] === value);
  if (flags.length === 0 && cache !== undefined && isSet) return;
  const small = { ...environment, NODE_COMPILE_CACHE: cache ?? compileCache() };
  restart([...flags, ...process.execArgv], small);
}

/** `./godwit` uses the same place. */
function compileCache(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  return path.join(caches, 'godwit', `compile-${PRODUCT_VERSION}`);
}

/**
 * Restarts in the same process if sources were compiled on the way here: the compiler (30 MB) would stay in memory, and
 * the restart finds everything in Node's compile cache.
 */
export function restartCompiled(): void {
  const before = process.env[MARK];
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
