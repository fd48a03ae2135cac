import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const MAX_BYTES = 50 * 1024 ** 2;
const root = path.resolve(import.meta.dirname, '../..');

/** All that the check needs beside Node and the driver; rejects where that is more than may be carried about. */
export async function makeBundle(directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  await build({
    entryPoints: [path.join(import.meta.dirname, 'main.ts')],
    outfile: path.join(directory, 'gpu-check.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    // The oldest Node that is still found on such machines; it has no Promise.withResolvers.
    target: 'node18',
    banner: { js: WITH_RESOLVERS },
    external: ['koffi', './bundle.ts', 'esbuild'],
    logLevel: 'error',
  });
  for (const name of ['koffi', `@koromix/koffi-linux-${process.arch}`]) {
    const from = path.join(root, 'node_modules', name);
    const to = path.join(directory, 'node_modules', name);
    cpSync(from, to, { recursive: true, dereference: true });
  }
  const bytes = sizeOf(directory);
  if (bytes > MAX_BYTES) throw new Error(`the bundle has ${bytes} bytes`);
  process.stdout.write(
    `${directory}: ${(bytes / 1024 ** 2).toFixed(1)} MiB. On the other machine: node ${path.basename(directory)}/gpu-check.mjs\n`,
  );
}

const WITH_RESOLVERS = `Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((yes, no) => { resolve = yes; reject = no; });
  return { promise, resolve, reject };
};`;

function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true })
    .map((name) => statSync(path.join(directory, String(name))))
    .filter((each) => each.isFile())
    .reduce((sum, { size }) => sum + size, 0);
}
