/**
 * Compiles the WebAssembly modules of src/ from the AssemblyScript beside them: `branches.as.ts` to `branches.wasm`.
 * Setup runs this; the modules are never committed. With `--check` it only looks, and exits with 1 if one is missing or
 * older than its source.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const compiler = path.join(root, 'node_modules/assemblyscript');
/** No runtime, no imports, and a memory that cannot grow. */
const OPTIONS =
  '-O3 --noAssert --runtime stub --enable simd --use abort= --initialMemory 1 --maximumMemory 1';

/** The modules, from the root. */
const wasmModules = (): string[] =>
  globSync('src/**/*.as.ts', { cwd: root }).map((source) => source.replace(/\.as\.ts$/, '.wasm'));

const sourceOf = (wasm: string): string => wasm.replace(/\.wasm$/, '.as.ts');
/** Next to a module: the digest of everything that it was made from. */
const stampOf = (wasm: string): string => path.join(root, `${wasm}.from`);

function digestOf(wasm: string): string {
  const hash = createHash('sha256').update(OPTIONS);
  for (const file of [path.join(compiler, 'package.json'), path.join(root, sourceOf(wasm))]) {
    hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

function isCurrent(wasm: string): boolean {
  const there = existsSync(path.join(root, wasm)) && existsSync(stampOf(wasm));
  return there && readFileSync(stampOf(wasm), 'utf8') === digestOf(wasm);
}

function compile(wasm: string): void {
  const program = path.join(compiler, 'bin/asc.js');
  const made = `${wasm}.new`;
  execFileSync(process.execPath, [program, sourceOf(wasm), '-o', made, ...OPTIONS.split(' ')], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  renameSync(path.join(root, made), path.join(root, wasm));
  writeFileSync(stampOf(wasm), digestOf(wasm));
}

/** Compiles each module that is missing or older than its source; returns all of them. */
export function buildWasm(): string[] {
  const all = wasmModules();
  for (const wasm of all) if (!isCurrent(wasm)) compile(wasm);
  return all;
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) buildWasm();
  else if (!wasmModules().every(isCurrent)) process.exitCode = 1;
}
