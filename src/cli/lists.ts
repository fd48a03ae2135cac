import type { Context } from './context.ts';
import { tableLook } from './render/paint.ts';
import { printable } from './render/style.ts';
import type { Look } from './render/table.ts';

interface ListFlags {
  readonly output?: 'table' | 'json' | 'name' | undefined;
  readonly quiet?: boolean | undefined;
  readonly noHeaders?: boolean | undefined;
}

/** Whether names alone are wanted. */
export function wantsNames({ output, quiet }: ListFlags): boolean {
  return quiet === true || output === 'name';
}

export function printNames(context: Context, names: readonly string[]): void {
  context.out.write(names.map((name) => `${printable(name)}\n`).join(''));
}

export function listLook(context: Context, { noHeaders }: ListFlags): Look {
  return { ...tableLook(context), isHeadless: noHeaders === true };
}
