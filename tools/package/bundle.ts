import * as fs from 'node:fs';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
import { MISSED, STARTED } from '../build.ts';

/**
 * The programs of a package as few files, in one folder: a process that starts looks up and compiles each file by itself, so
 * a bundle starts sooner and is smaller. Names stay and nothing is minified; maps lead from a stack trace to the sources.
 */

/** The package that is bundled along; the others are large, or CommonJS, and no program loads them at its start. */
export const BUNDLED = 'zod';
/** A stack trace names the sources' lines in each program. */
const SOURCE_LINES = path.join(import.meta.dirname, 'source-lines.ts');

interface SourceMap {
  readonly sources: readonly string[];
}

/** Bundles all programs of `root`/src/bin, and each file of src/ that another starts, into `folder`, with the WebAssembly modules. */
export async function bundle(root: string, folder: string): Promise<void> {
  const programs = programsIn(root);
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')) as {
    dependencies?: Readonly<Record<string, string>>;
  };
  const { outputFiles } = await build({
    // Paths in the maps, and names made from content, are the same in every checkout.
    absWorkingDir: root,
    outdir: path.join(root, 'dist/bin'),
    write: false,
    entryPoints: programs,
    entryNames: '[name]',
    chunkNames: 'part-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node26',
    external: Object.keys(dependencies ?? {}).filter((name) => name !== BUNDLED),
    charset: 'ascii',
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    plugins: [forPackage(root, programs)],
    logLevel: 'warning',
  });
  fs.mkdirSync(folder, { recursive: true });
  for (const { path: file, text } of outputFiles) {
    const content = file.endsWith('.map') ? fromRoot(root, file, text) : text;
    fs.writeFileSync(path.join(folder, path.basename(file)), content);
  }
  for (const source of fs.globSync('src/**/*.as.ts', { cwd: root })) {
    const module = source.replace(/\.as\.ts$/, '.wasm');
    fs.copyFileSync(path.join(root, module), path.join(folder, path.basename(module)));
  }
}

/** Names the sources as they are in a checkout: `src/...`. */
function fromRoot(root: string, file: string, text: string): string {
  const map = JSON.parse(text) as SourceMap;
  const sources = map.sources.map((source) =>
    path.relative(root, path.resolve(path.dirname(file), source)),
  );
  return JSON.stringify({ ...map, sources });
}

/** As paths below `root`. Throws when two have one name: all end up in one folder. */
function programsIn(root: string): string[] {
  const found = new Set(
    fs.globSync('src/bin/*.ts', { cwd: root }).filter((file) => !file.endsWith('/by-config.ts')),
  );
  for (const file of fs.globSync('src/**/*.ts', { cwd: root })) {
    for (const [, started = ''] of fs.readFileSync(path.join(root, file), 'utf8').matchAll(STARTED))
      found.add(path.join(path.dirname(file), `${started}.ts`));
  }
  const programs = [...found].toSorted();
  const byName = Map.groupBy(programs, (file) => path.basename(file));
  for (const [name, files] of byName)
    if (files.length > 1) throw new Error(`${files.join(', ')}: two programs are named ${name}`);
  return programs;
}

/**
 * Adapts the sources to one folder, line by line. esbuild leaves out the unused parts of zod, among them 49 languages, only
 * where zod itself is the namespace.
 */
function forPackage(root: string, programs: readonly string[]): Plugin {
  const starting = new Set(programs.map((file) => path.join(root, file)));
  return {
    name: 'for-package',
    setup(bundler) {
      bundler.onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
        const text = fs
          .readFileSync(file, 'utf8')
          .replace("import { z } from 'zod';", "import * as z from 'zod';")
          .replaceAll(STARTED, (_, place: string) => startsBeside(place));
        if (MISSED.test(text)) throw new Error(`${file}: starts a .ts file in an unknown form`);
        return {
          contents: starting.has(file) ? `import '${SOURCE_LINES}'; ${text}` : text,
          loader: 'ts',
        };
      });
    },
  };
}

function startsBeside(place: string): string {
  return `new URL('./${path.basename(place)}.js', import.meta.url)`;
}
