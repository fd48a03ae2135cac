/**
 * What the linter can't see: the layers of ARCHITECTURE.md, paths of one
 * machine, dead links. Each check returns its problems as lines `file: what is wrong, and how to fix it`.
 * Lengths of functions are oxlint's (see .oxlintrc.json), import cycles and folders have a file of their own (structure.ts), and so have files that no program reaches (reach.ts)
 * and the reading order of the core (reading-order.ts).
 * test/tidy.test.ts runs all of them.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';

/** The tree under test: file names relative to its root, their text and what they import. */
export type Tree = {
  files: string[];
  text(file: string): string;
  exists(file: string): boolean;
  bytes(file: string): number;
};

const pureFolders = ['src/protocol', 'src/migration', 'src/planner', 'src/wire/stream'];
const pureMayImport = [...pureFolders, 'src/errors.ts', 'src/formats/quantity.ts', 'zod'];
const shells = ['src/mover', 'src/agent', 'src/host', 'src/bin'];
/** Folders that touch the world, and besides themselves who may import them. */
const guardedFolders: Readonly<Record<string, readonly string[]>> = {
  'src/drivers': [...shells, 'src/disks'],
  'src/disks': shells,
  'src/links': [...shells, 'src/wire', 'src/disks'],
  'src/network': [...shells, 'src/port', 'src/drivers'],
  'src/wire': shells,
};
/** All of src/, the lowest first: a file imports from its own place and from those before it, types included. */
const ORDER = (
  'clock.ts mutex.ts token-buckets.ts formats errors errors.ts protocol log.ts deadline.ts migration system rpc poller.ts ' +
  'network gpu words planner config config.ts hooks client.ts links wire host pki port ' +
  'drivers disks mover agent controller relay cli bin'
)
  .split(' ')
  .map((place) => `src/${place}`);
/** Reads the files git knows or would add, so that ignored build outputs do not count. */
export function treeAt(root: string): Tree {
  const listed = execFileSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: root,
  });
  const exists = (file: string): boolean => existsSync(path.join(root, file));
  const texts = new Map<string, string>();
  return {
    files: listed
      .toString()
      .split('\0')
      .filter((file) => statSync(path.join(root, file), { throwIfNoEntry: false })?.isFile()),
    exists,
    bytes: (file) => statSync(path.join(root, file)).size,
    text(file) {
      const text = texts.get(file) ?? readFileSync(path.join(root, file), 'utf8');
      texts.set(file, text);
      return text;
    },
  };
}

export const within = (file: string, places: readonly string[]): boolean =>
  places.some((place) => file === place || file.startsWith(`${place}/`));

export const programs = (tree: Tree, place = ''): string[] =>
  tree.files.filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.as.ts') && file.startsWith(place),
  );

const importPattern =
  /(?:^|[\s;])(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"`]([^'"`]+)['"`]\s*\)|\bcreateRequire\(import\.meta\.url\)\(['"]([^'"]+)['"]\)|\b(?:new URL\(\s*|import\.meta\.dirname,\s*)['"]([^'"]+\.ts)['"]/gm;

export const withoutComments = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');

/**
 * What a file imports, and unless `starts` is false what it starts as a program of its own: repository paths for what is
 * named relative to it, package names for the others.
 */
export function importsOf(tree: Tree, file: string, starts = true): string[] {
  const found = withoutComments(tree.text(file)).matchAll(importPattern);
  return [...found].flatMap((match) => {
    if (match[4] !== undefined && !starts) return [];
    const program = match[4] === undefined ? undefined : `./${match[4]}`;
    const target = program ?? match[1] ?? match[2] ?? match[3] ?? '';
    if (target.startsWith('.')) return expand(tree, path.posix.join(path.dirname(file), target));
    if (target.startsWith('node:')) return [target];
    return [target.split('/', target.startsWith('@') ? 2 : 1).join('/')];
  });
}

/** `import(`./commands/${verb}.ts`)` reaches every file that the template can name. */
function expand(tree: Tree, target: string): string[] {
  if (!target.includes('${')) return [target];
  const pieces = target.split(/\$\{[^}]*\}/).map((piece) => RegExp.escape(piece));
  const pattern = new RegExp(`^${pieces.join('[^/]+')}$`);
  return tree.files.filter((file) => pattern.test(file));
}

/** PURE code takes the time as an argument; the linter sees the other clocks, not this one. */
export function clockProblems(tree: Tree): string[] {
  const pure = programs(tree).filter((file) => within(file, pureFolders));
  return pure
    .filter((file) => /\bnew Date\(\s*\)/.test(withoutComments(tree.text(file))))
    .map((file) => `${file}: a PURE file reads no clock: take the time as an argument`);
}

/** Programs of a driver’s own, which that driver starts; all programs lie in one folder. */
const DRIVER_PROGRAMS: Readonly<Record<string, string>> = {
  'src/bin/pager.ts': 'src/drivers/criu/',
};

/** All that the agent imports from movers. */
const MOVER_ENTRY = 'src/mover/public.ts';

/** PURE folders import only each other; only mover, agent, bin and a few by name reach what touches the world. */
export function layerProblems(tree: Tree): string[] {
  return programs(tree, 'src/').flatMap((file) =>
    importsOf(tree, file).flatMap((target) => {
      if (within(file, pureFolders) && !within(target, pureMayImport)) {
        return [`${file}: a PURE folder may not import ${target}; pass in what is needed`];
      }
      const guarded = Object.entries(guardedFolders).find(([folder]) => within(target, [folder]));
      if (guarded !== undefined) {
        const [folder, importers] = guarded;
        if (!within(file, [folder, ...importers])) {
          const names = importers.map((each) => each.replace('src/', '')).join('/, ');
          return [`${file}: only ${names}/ may import ${target}`];
        }
      }
      const driver = /^src\/drivers\/\w+\//.exec(target)?.[0];
      const isOwn =
        driver !== undefined && (file.startsWith(driver) || DRIVER_PROGRAMS[file] === driver);
      if (driver && !isOwn && file !== 'src/drivers/registry.ts') {
        return [`${file}: drivers are reached through src/drivers/registry.ts, not ${target}`];
      }
      if (within(file, ['src/agent']) && within(target, ['src/mover']) && target !== MOVER_ENTRY) {
        return [`${file}: movers are reached through ${MOVER_ENTRY}, not ${target}`];
      }
      if (/^(lab|test|tools|demo|bench|faults|sim|hostile|meddle|shapes)\//.test(target)) {
        return [`${file}: src/ may not import ${target}`];
      }
      return [];
    }),
  );
}

/** No import points up in ORDER. A program that a file starts is no import. */
export function orderProblems(tree: Tree): string[] {
  const rankOf = (file: string): number => ORDER.findIndex((place) => within(file, [place]));
  return programs(tree, 'src/').flatMap((file) => {
    const rank = rankOf(file);
    if (rank < 0) return [`${file}: its folder has no place in ORDER of tools/tidy.ts`];
    return importsOf(tree, file)
      .filter((target) => target.startsWith('src/') && !within(target, ['src/bin']))
      .filter((target) => rankOf(target) > rank)
      .map(
        (target) =>
          `${file}: may not import ${target}, which is above it; move what both need down`,
      );
  });
}

/** Lines of code in a file, without blank lines, comments and imports. */
const MAX_LINES = 300;
/** Pages that have to be read together, and tables: folders or files, and their limit. */
const LONGER: Readonly<Record<string, number>> = {
  'src/migration/preflight/table.ts': 500,
  'src/mover/direct/source/lifecycle.ts': 440,
  'src/mover/direct/destination/mover.ts': 440,
  'src/migration/managed/lifecycle.ts': 440,
  'src/mover/managed/lifecycle.ts': 440,
  'test/controller/engine/model.ts': 460,
  'tools/prose.ts': 360,
  'tools/test-times.ts': 440,
  'web/src/pages': 340,
  'web/src/components': 340,
};

export function lengthProblems(tree: Tree): string[] {
  const files = tree.files.filter(
    (file) => /\.tsx?$/.test(file) && !within(file, ['test/fixtures']),
  );
  return files.flatMap((file) => {
    const limit = Object.entries(LONGER).find(([place]) => within(file, [place]))?.[1] ?? MAX_LINES;
    const lines = codeLines(tree.text(file));
    return lines <= limit
      ? []
      : [`${file}: has ${lines} lines of code, more than ${limit}; give a subject of it a file`];
  });
}

function codeLines(text: string): number {
  const code = withoutComments(text).replaceAll(/^import\b[^;]*;$/gm, '');
  return code.split('\n').filter((line) => line.trim() !== '').length;
}

/** A PURE file that has something to run has a test of the same name. */
export function untestedProblems(tree: Tree, allowed: Record<string, string>): string[] {
  const stale = Object.keys(allowed).filter((file) => !tree.exists(file));
  const untested = programs(tree, 'src/').filter((file) => {
    if (!within(file, pureFolders) || file in allowed) return false;
    const runs = /^export (?:async )?(?:const|let|function|class) /m.test(tree.text(file));
    return runs && !tree.exists(file.replace(/^src\//, 'test/').replace(/\.ts$/, '.test.ts'));
  });
  return [
    ...stale.map((file) => `${file}: is excused from having a test, but does not exist`),
    ...untested.map((file) => `${file}: has no test/${file.slice(4, -3)}.test.ts`),
  ];
}

// Written in pieces, so that this file does not find itself.
const machinePaths = new RegExp(
  `(?<![\\w.-])/(?:${['wo' + 'rk', 'ro' + 'ot', 'ho' + 'me'].join('|')})/`,
);
const temporaryPath = new RegExp(`['"\`]/${'tm' + 'p'}/`);
const hosts = new RegExp(
  ['registry' + '.npm', 'pkg' + '.dev', 'npm' + 'mirror', ':48' + '73', 'deb' + '.debian.org']
    .join('|')
    .replaceAll('.', '\\.'),
);

/** Nothing in the repository depends on where one person's copy or mirror lies. */
export function machineProblems(tree: Tree): string[] {
  const texts = tree.files.filter((file) => /\.(ts|js|json|md|sh|html|css|ya?ml)$/.test(file));
  return texts.flatMap((file) =>
    tree
      .text(file)
      .split('\n')
      .flatMap((line, index) => {
        const where = `${file}:${index + 1}`;
        if (machinePaths.test(line)) return [`${where}: names a path of one machine`];
        if (hosts.test(line)) return [`${where}: names a package registry's host`];
        if (file.endsWith('.ts') && temporaryPath.test(line)) {
          return [`${where}: take os.tmpdir() for a temporary path`];
        }
        return [];
      }),
  );
}

/** The anchor of a heading, as repository hosts and the documentation site make it. */
export const headingId = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(/\s/g, '-');

/** Each relative link of a page leads to a file, and to a heading where it names one. */
export function linkProblems(tree: Tree): string[] {
  const pages = tree.files.filter((file) => file.endsWith('.md'));
  return pages.flatMap((page) => {
    const prose = tree
      .text(page)
      .replaceAll(/^```[\s\S]*?^```/gm, '')
      .replaceAll(/`[^`\n]*`/g, '');
    return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [target = '', anchor] = link.split('#');
      const file = target === '' ? page : path.posix.join(path.dirname(page), target);
      if (!tree.exists(file)) return [`${page}: the link ${link} leads nowhere`];
      if (anchor === undefined || !file.endsWith('.md')) return [];
      const headings = tree.text(file).match(/^#+ .*$/gm) ?? [];
      const ids = headings.map((line) => headingId(line.replace(/^#+ /, '')));
      return ids.includes(anchor) ? [] : [`${page}: ${file} has no heading #${anchor}`];
    });
  });
}

/** Few dependencies, each one used, none used that is not declared. */
export function dependencyProblems(tree: Tree): string[] {
  const manifest = JSON.parse(tree.text('package.json')) as Record<string, Record<string, string>>;
  const runtime = Object.keys(manifest['dependencies'] ?? {});
  const declared = new Set([...runtime, ...Object.keys(manifest['devDependencies'] ?? {})]);
  const problems =
    runtime.length < 25 ? [] : [`package.json: ${runtime.length} dependencies, 24 is the most`];
  const used = new Map<string, string>();
  for (const file of programs(tree)) {
    for (const target of importsOf(tree, file)) {
      if (target.startsWith('node:') || target.includes('.ts') || /^(src|test)\//.test(target))
        continue;
      if (file.startsWith('src/') || !used.has(target)) used.set(target, file);
    }
  }
  for (const [name, file] of used) {
    if (tree.exists(name)) continue;
    if (!declared.has(name)) problems.push(`${file}: ${name} is not in package.json`);
    else if (file.startsWith('src/') && !runtime.includes(name)) {
      problems.push(`${file}: ${name} is a development dependency`);
    }
  }
  const idle = runtime.filter((name) => name !== 'node' && !used.get(name)?.startsWith('src/'));
  return [...problems, ...idle.map((name) => `package.json: nothing in src/ imports ${name}`)];
}

/** `npm ci` refuses a lock file that leaves out the builds for other platforms. */
export function lockProblems(tree: Tree): string[] {
  type Locked = { optionalDependencies?: Record<string, string>; resolved?: string };
  const lock = JSON.parse(tree.text('package-lock.json')) as { packages: Record<string, Locked> };
  return Object.entries(lock.packages).flatMap(([where, locked]) => [
    ...Object.keys(locked.optionalDependencies ?? {})
      .filter((name) => lock.packages[`node_modules/${name}`] === undefined)
      .map((name) => `package-lock.json: lacks ${name}; take a version that every platform has`),
    ...(locked.resolved === undefined ? [] : [`package-lock.json: ${where} names a registry`]),
  ]);
}

const unfinished = new RegExp(
  ['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].map((w) => `\\b${w}\\b`).join('|') +
    '|\\.only\\(',
);

/** A loop or a callback in which it stands may not run at all. */
const cannotFail = /\bassert(?:\.ok)?\(true[,)]/;

/** Names that say nothing, work left undone, assertions of nothing, large or binary files, and scripts too long to read. */
export function fileProblems(tree: Tree): string[] {
  return tree.files.flatMap((file) => {
    const problems: string[] = [];
    if (/(^|\/)(utils?|helpers?|misc|common)(\.ts|\/)/.test(file)) {
      problems.push(`${file}: the name says nothing; name what it holds`);
    }
    if (tree.bytes(file) > 256 * 1024) problems.push(`${file}: larger than 256 KiB`);
    else if (tree.text(file).includes('\0')) problems.push(`${file}: is a binary file`);
    if (file.endsWith('.ts') && unfinished.test(tree.text(file))) {
      problems.push(`${file}: left unfinished (${unfinished.exec(tree.text(file))?.[0]})`);
    }
    if (file.startsWith('test/') && cannotFail.test(tree.text(file))) {
      problems.push(`${file}: asserts true, which cannot fail; assert what was seen`);
    }
    if (file.endsWith('.sh') && tree.text(file).split('\n').length > 301) {
      problems.push(`${file}: longer than 300 lines`);
    }
    return problems;
  });
}

/** Decision records are numbered without a gap and name their status. */
export function decisionProblems(tree: Tree): string[] {
  const records = tree.files.filter((file) => /^decisions\/\d{4}-[^/]+\.md$/.test(file)).toSorted();
  return records.flatMap((file, index) => {
    const number = String(index + 1).padStart(4, '0');
    if (!path.basename(file).startsWith(number)) return [`${file}: its number should be ${number}`];
    return /^Status: (accepted|superseded by \d{4})/m.test(tree.text(file))
      ? []
      : [`${file}: has no line "Status: accepted" or "Status: superseded by NNNN"`];
  });
}
