/**
 * Builds the dashboard of web/ into `dist/web`: what a browser loads. A controller compresses it once, as it reads it.
 * `--watch` builds again with each change.
 */
import { cpSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { buildSync, context, type BuildOptions } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..');
const web = path.join(root, 'web');
/** Copied as they are. */
const PLAIN = ['index.html', 'icon.svg'];

function optionsFor(out: string): BuildOptions {
  return {
    entryPoints: {
      app: path.join(web, 'src/main.tsx'),
      'overview-worker': path.join(web, 'src/fleet/overview-worker.ts'),
    },
    outdir: out,
    bundle: true,
    splitting: true,
    format: 'esm',
    target: ['chrome123', 'firefox121', 'safari17.5'],
    minify: true,
    sourcemap: false,
    chunkNames: 'parts/[name]-[hash]',
    assetNames: 'parts/[name]-[hash]',
    loader: { '.woff2': 'file' },
    tsconfig: path.join(web, 'tsconfig.json'),
    legalComments: 'linked',
    logLevel: 'warning',
  };
}

/** Builds everything once; what stood in `out` is gone. Answers the packages whose code or files are in it. */
export function buildWeb(out: string): string[] {
  const fresh = `${out}.${process.pid}`;
  mkdirSync(fresh, { recursive: true });
  const { metafile } = buildSync({ ...optionsFor(fresh), metafile: true });
  for (const name of PLAIN) cpSync(path.join(web, name), path.join(fresh, name));
  // Whoever reads it meanwhile finds the former one whole.
  rmSync(out, { recursive: true, force: true });
  renameSync(fresh, out);
  const names = Object.keys(metafile.inputs).map(
    (file) => /.*node_modules\/(@[^/]+\/[^/]+|[^/]+)\//.exec(file)?.[1],
  );
  return [...new Set(names.filter((name) => name !== undefined))].toSorted();
}

async function watch(out: string): Promise<void> {
  buildWeb(out);
  const watched = await context({ ...optionsFor(out), minify: false, sourcemap: 'linked' });
  await watched.watch();
}

if (import.meta.main) {
  const out = path.join(root, 'dist/web');
  if (process.argv.includes('--watch')) await watch(out);
  else buildWeb(out);
}
