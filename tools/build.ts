/**
 * Builds `dist/`, which the package has in place of `src/`: JavaScript with types and source maps, and what the programs
 * read besides. Node strips no types under node_modules. In a clone everything runs from the sources.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const dist = path.join(root, 'dist');

/** Programs and threads that a file starts by its own place; tsc changes the names in imports alone. */
const STARTED = /(new URL\(\s*'[^']+)\.ts(',\s*import\.meta\.url\))/g;
/** What is started or read by another way would be missing only when somebody needs it. */
const MISSED = /new URL\([^)]*\.ts['"`]/;

function build(): void {
  rmSync(dist, { recursive: true, force: true });
  const compiler = path.join(root, 'node_modules/typescript/bin/tsc');
  const args = [compiler, '-p', path.join(root, 'tsconfig.build.json')];
  execFileSync(process.execPath, args, { stdio: ['ignore', 2, 2] });
  for (const file of globSync('**/*.js', { cwd: dist })) {
    const place = path.join(dist, file);
    const before = readFileSync(place, 'utf8');
    const after = before.replaceAll(STARTED, '$1.js$2');
    if (MISSED.test(after))
      throw new Error(`${file}: starts a .ts file in a form that the build does not know`);
    if (after !== before) writeFileSync(place, after);
  }
  for (const file of globSync('**/*.sh', { cwd: path.join(root, 'src') })) {
    cpSync(path.join(root, 'src', file), path.join(dist, file));
  }
}

build();
