import { printJson, type Context } from './context.ts';
import { tableLook } from './render/paint.ts';
import { printable } from '../words/style.ts';
import type { Look } from '../words/table.ts';
import type { Run, Spec } from './verb.ts';
import { watchList } from './watch-list.ts';

interface ListFlags {
  readonly output?: 'table' | 'wide' | 'json' | 'yaml' | 'name' | undefined;
  readonly quiet?: boolean | undefined;
  readonly noHeaders?: boolean | undefined;
  readonly watch?: boolean | undefined;
}

/** A verb that lists; with --watch repeatedly, until a signal comes. */
export function listing<S extends Spec>(list: Run<S>): Run<S> {
  return async (input, context) => {
    const { watch } = input.flags as ListFlags;
    if (watch !== true) return list(input, context);
    return watchList(context, input.json, (within) => list(input, within));
  };
}

function wantsNames({ output, quiet }: ListFlags): boolean {
  return quiet === true || output === 'name';
}

export function printList(
  context: Context,
  { json, flags }: { readonly json: boolean; readonly flags: ListFlags },
  found: { readonly answer: object; readonly names: readonly string[] },
  print: (look: Look) => void,
): void {
  if (json) printJson(context, found.answer);
  else if (wantsNames(flags)) printNames(context, found.names);
  else print(listLook(context, flags));
}

function printNames(context: Context, names: readonly string[]): void {
  context.out.write(names.map((name) => `${printable(name)}\n`).join(''));
}

export function listLook(context: Context, { noHeaders, output }: ListFlags): Look {
  return { ...tableLook(context), isHeadless: noHeaders === true, isWide: output === 'wide' };
}

export function labelsCell(labels: Readonly<Record<string, string>> | undefined): string {
  const words = Object.entries(labels ?? {}).map(([label, value]) => `${label}=${value}`);
  return words.join(',') || '-';
}

/** Inserts the columns of `-o wide` before the last one, which has free text. */
export function widened(
  row: readonly string[],
  more: readonly (string | undefined)[],
  { isWide }: Look,
): string[] {
  if (isWide !== true) return [...row];
  return [...row.slice(0, -1), ...more.map((each) => each ?? '-'), ...row.slice(-1)];
}
