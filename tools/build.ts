/**
 * Builds `dist/`, which the package has in place of `src/`: JavaScript with types and source maps, and what the programs
 * read besides: the dashboard and the documentation. Node strips no types under node_modules. In a clone everything runs from the sources.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { buildSite } from './site.ts';
import { buildWasm } from './wasm.ts';
import { buildWeb } from './web.ts';

const root = path.resolve(import.meta.dirname, '..');

/** Programs and threads that a file starts by its own place; tsc changes the names in imports alone. */
export const STARTED = /new URL\(\s*'([^']+)\.ts'(,\s*import\.meta\.url\))/g;
/** What is started or read by another way would be missing only when somebody needs it. */
export const MISSED = /new URL\([^)]*\.ts['"`]/;

/** `flags`: further ones of the compiler. */
export async function build(dist: string, flags: readonly string[] = []): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  const project = ['-p', path.join(root, 'tsconfig.build.json'), '--outDir', dist];
  execFileSync(process.execPath, [compiler, ...project, ...flags], { stdio: ['ignore', 2, 2] });
  for (const file of globSync('**/*.js', { cwd: dist })) {
    const place = path.join(dist, file);
    const before = readFileSync(place, 'utf8');
    const after = before.replaceAll(STARTED, "new URL('$1.js'$2");
    if (MISSED.test(after))
      throw new Error(`${file}: starts a .ts file in a form that the build does not know`);
    if (after !== before) writeFileSync(place, after);
  }
  for (const wasm of buildWasm()) {
    copyFileSync(path.join(root, wasm), path.join(dist, path.relative('src', wasm)));
  }
  buildWeb(path.join(dist, 'web'));
  await buildSite(path.join(dist, 'site'));
}

if (import.meta.main) await build(path.join(root, 'dist'));
