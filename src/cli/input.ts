import type { Chosen } from './program.ts';
import { flagName, readValue } from './values.ts';
import { CONNECTION_FLAGS, type ConnectionFlags, type Flag, type Input } from './verb.ts';

type Value = string | number | boolean;

function read(name: string, flag: Flag, text: unknown): Value {
  return readValue(flagName(name), flag, String(text));
}

/** Reads the words of a line by the verb's spec. Throws GODWIT_USAGE for the first that is wrong. */
export function readInput({ verb, words, options }: Chosen): Input {
  const { spec } = verb;
  const args: Record<string, string | number | readonly (string | number)[] | undefined> = {};
  for (const [index, [name, argument]] of Object.entries(spec.args ?? {}).entries()) {
    const word = words[index];
    const one = (text: string) => readValue(name, argument, text);
    if (word !== undefined) args[name] = typeof word === 'string' ? one(word) : word.map(one);
  }
  const flags: Record<string, Value | readonly Value[] | undefined> = {};
  for (const [name, flag] of Object.entries(spec.flags ?? {})) {
    const given = options[name];
    // Commander takes `--no-x` for x that is off.
    if (flag.kind === 'switch') flags[name] = given === true || options[negated(name)] === false;
    // An optional value that was left out arrives as `true`.
    else if (given === true) flags[name] = '';
    else if (Array.isArray(given)) flags[name] = given.map((each) => read(name, flag, each));
    else if (typeof given === 'string') flags[name] = read(name, flag, given);
    else if (flag.preset !== undefined) flags[name] = read(name, flag, flag.preset);
  }
  const connection: Record<string, string> = {};
  for (const name of Object.keys(spec.usesAgent === true ? CONNECTION_FLAGS : {})) {
    const given = options[name];
    if (typeof given === 'string') connection[name] = given;
  }
  const json = options['json'] === true || isNotation(options['output']);
  return { args, flags, connection: connection satisfies ConnectionFlags, json } as Input;
}

/** Whether an `--output` is what --json prints, in whatever notation. */
export function isNotation(output: unknown): output is 'json' | 'yaml' {
  return output === 'json' || output === 'yaml';
}

function negated(name: string): string {
  return /^no[A-Z]/.test(name) ? name.charAt(2).toLowerCase() + name.slice(3) : '';
}
