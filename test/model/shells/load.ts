import { registerHooks } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Loads the movers' own code a second time, for the model: as it is, or broken in one place. Each such copy of
 * `src/mover`, `src/migration` and what reads journals is a set of modules of its own; all else is shared.
 */

/** One place of the product, and what is to stand there. `from` has to be there exactly once. */
export interface Edit {
  /** From the repository's root. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** A second guard against the same fault, taken away as well: one alone would still hold. */
  readonly also?: Edit;
}

const ROOT = path.join(import.meta.dirname, '../../..');
const COPIED = ['src/mover/', 'src/migration/', 'src/host/journal'];

/**
 * What is left out in every copy: code that runs ahead what will run later, which keeps nothing and would look at every
 * state; and the fold of the destination's journal, which the model's own journal does with the same function.
 */
const LEFT_OUT: readonly Edit[] = [
  {
    file: 'src/mover/direct/destination/ledger.ts',
    from: 'this.#state = destinationAfter(this.#state, event);',
    to: '',
  },
  {
    file: 'src/mover/direct/warm-up.ts',
    from: 'export function warmSource(state: SourceState): void {',
    to: 'export function warmSource(state: SourceState): void {\n  if (state !== undefined) return;',
  },
  {
    file: 'src/mover/direct/warm-up.ts',
    from: 'export function warmDestination(state: DestinationState): void {',
    to: 'export function warmDestination(state: DestinationState): void {\n  if (state !== undefined) return;',
  },
];

const edits = new Map<string, Edit>();
const done = new Set<string>();
let hooked = false;

/** The module at `file`, which is given from the repository's root, of the copy that `edit` makes. */
export async function loadShell<T>(file: string, edit?: Edit): Promise<T> {
  hook();
  const name = edit === undefined ? 'real' : JSON.stringify(edit);
  if (edit !== undefined) edits.set(name, edit);
  const address = `${path.join(ROOT, file)}?model=${encodeURIComponent(name)}`;
  const loaded = (await import(address)) as T;
  if (edit !== undefined && !done.has(name)) {
    throw new Error(`${edit.file} is no part of ${file}: the edit breaks nothing`);
  }
  return loaded;
}

function hook(): void {
  if (hooked) return;
  hooked = true;
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const found = nextResolve(specifier, context);
      const copy = copyOf(context.parentURL);
      if (copy === undefined || fileOf(found.url) === undefined) return found;
      return { ...found, url: `${found.url.replace(/\?.*$/, '')}?model=${copy}` };
    },
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const copy = copyOf(url);
      const file = copy === undefined ? undefined : fileOf(url);
      if (copy === undefined || file === undefined) return loaded;
      const name = decodeURIComponent(copy);
      const edit = edits.get(name);
      if (edit?.file === file) done.add(name);
      const all = [...LEFT_OUT, ...editsOf(edit)];
      const here = all.filter((each) => each.file === file);
      if (here.length === 0) return loaded;
      return { ...loaded, source: here.reduce(edited, textOf(loaded.source)) };
    },
  });
}

function editsOf(edit: Edit | undefined): Edit[] {
  return edit === undefined ? [] : [edit, ...editsOf(edit.also)];
}

function textOf(source: unknown): string {
  if (typeof source === 'string') return source;
  if (source instanceof Uint8Array) return Buffer.from(source).toString();
  throw new Error('a module of the product has no text');
}

/** Which copy a module belongs to, as its address says it. */
function copyOf(url: string | undefined): string | undefined {
  return url === undefined ? undefined : /\?model=(.*)$/.exec(url)?.[1];
}

function fileOf(url: string): string | undefined {
  if (!url.startsWith('file:')) return undefined;
  const file = path.relative(ROOT, fileURLToPath(url.replace(/\?.*$/, '')));
  return COPIED.some((folder) => file.startsWith(folder)) ? file : undefined;
}

function edited(source: string, { file, from, to }: Edit): string {
  const parts = source.split(from);
  if (parts.length === 2) return parts.join(to);
  throw new Error(`${file} has ${parts.length - 1} times what the edit replaces: ${from}`);
}
