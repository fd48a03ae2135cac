import { valuesOf, type CommandLine } from './cmdline.ts';
import { parseOption } from './options.ts';

/** Reads `-name web1` or `-name guest=web1,debug-threads=on`. */
export function nameOf(line: CommandLine): string | undefined {
  const value = valuesOf(line, 'name').at(-1);
  if (value === undefined) return undefined;
  const { head, props } = parseOption(value, true);
  const name = props.get('guest') ?? head;
  return name === '' ? undefined : name;
}
