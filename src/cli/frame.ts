import { type Command, CommanderError } from 'commander';
import { contextWith, type Context, type ConnectionFlags } from './context.ts';
import { printFailure } from './failure.ts';
import { asksForAll, buildProgram, type VerbInvocation } from './program.ts';
import { inLocale } from './ascii.ts';
import {
  connectionFlags,
  CONNECTION_FLAGS,
  type Flag,
  type Input,
  type Verb,
  type VerbGroup,
} from './verb.ts';
import { flagName, readValue } from './values.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import { didYouMean } from '../protocol/nearest.ts';

/**
 * Runs one command line (without `node` and the program's name) and returns the exit code. Never throws: any failure is
 * printed as an error of the table.
 */
export async function runCommandLine(
  typed: readonly string[],
  table: readonly (Verb | VerbGroup)[],
  given: Context,
): Promise<number> {
  const argv = verbFirst(typed);
  const asked = notationOf(argv);
  let json = argv.includes('--json') || asked !== undefined;
  let context = await contextOf(given, json, asked);
  try {
    const chosen = await choose(argv, table, context);
    if (chosen === undefined) return 0;
    if (chosen.options['verbose'] === true) context = withCauses(context);
    const input = readInput(chosen);
    json = input.json;
    const { run } = await chosen.verb.load();
    return (await run(input, context)) ?? 0;
  } catch (error) {
    return printFailure(context, error, json);
  }
}

/** The verb of the line with its words; undefined after the help was printed. */
async function choose(
  argv: readonly string[],
  table: readonly (Verb | VerbGroup)[],
  context: Context,
): Promise<VerbInvocation | undefined> {
  let chosen: VerbInvocation | undefined;
  const program: Command = await buildProgram(argv, table, context, (found) => {
    chosen = found;
  });
  mustKnowHelpOf(program, argv);
  if (asksForAll(argv)) {
    program.outputHelp();
    return undefined;
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (rewriteUsageError(error, program, argv)) return undefined;
  }
  return chosen;
}

function withCauses(context: Context): Context {
  return contextWith(context, { env: { ...context.env, GODWIT_DEBUG: '1' } });
}

function notationOf(argv: readonly string[]): 'json' | 'yaml' | undefined {
  return argv
    .map((word, index) =>
      ['-o', '--output'].includes(argv[index - 1] ?? '')
        ? word
        : /^(?:-o|--output=)(.*)$/.exec(word)?.[1],
    )
    .findLast(isNotation);
}

async function contextOf(
  given: Context,
  json: boolean,
  notation: 'json' | 'yaml' | undefined,
): Promise<Context> {
  if (notation === 'yaml') {
    const { stringify } = await import('yaml');
    return contextWith(given, { notation: (value) => `---\n${stringify(value)}` });
  }
  return json ? given : inLocale(given);
}

type Value = string | number | boolean;

function read(name: string, flag: Flag, text: unknown): Value {
  return readValue(flagName(name), flag, String(text));
}

/** Parses a line by the verb's spec. Throws GODWIT_USAGE for the first invalid word. */
export function readInput({ verb, words, options }: VerbInvocation): Input {
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
    // Commander stores `--no-x` as x = false.
    if (flag.kind === 'switch') flags[name] = given === true || options[negated(name)] === false;
    // Commander passes an omitted optional value as `true`.
    else if (given === true) flags[name] = '';
    else if (Array.isArray(given)) flags[name] = given.map((each) => read(name, flag, each));
    else if (typeof given === 'string') flags[name] = read(name, flag, given);
    else if (flag.preset !== undefined) flags[name] = read(name, flag, flag.preset);
  }
  const connection: Record<string, string | boolean> = spec.uses === 'host' ? { atHost: true } : {};
  for (const name of Object.keys(connectionFlags(spec))) {
    const given = options[name];
    if (typeof given === 'string') connection[name] = given;
  }
  const json = options['json'] === true || isNotation(options['output']);
  return { args, flags, connection: connection satisfies ConnectionFlags, json } as Input;
}

function isNotation(output: unknown): output is 'json' | 'yaml' {
  return output === 'json' || output === 'yaml';
}

function negated(name: string): string {
  return /^no[A-Z]/.test(name) ? name.charAt(2).toLowerCase() + name.slice(3) : '';
}

/**
 * Rethrows commander's errors as GODWIT_USAGE with the nearest name. Returns true if commander only printed the help or
 * the version.
 */
function rewriteUsageError(error: unknown, program: Command, argv: readonly string[]): boolean {
  if (!(error instanceof CommanderError)) throw error;
  const command = commandOf(program, argv);
  if (error.exitCode === 0) return true;
  // A group without a verb: commander's help was captured as an error.
  if (error.code !== 'commander.help') throw usageError(error, command);
  command.outputHelp();
  return true;
}

/** Verbs of other tools that correspond to several verbs here. */
const SEE: Readonly<Record<string, string>> = {
  status:
    '`godwit migrations` lists migrations, `godwit guest NAME` shows a guest, `godwit hosts` the hosts.',
};

function unknownVerb(command: Command, word: string): GodwitError {
  const path = pathOf(command);
  const names = command.commands.flatMap((each) => [each.name(), ...each.aliases()]);
  const hint = SEE[word] ?? didYouMean(word, [...names, 'help']);
  const help = `See \`${path} --help\`.`;
  const what = `${path} has no verb "${word}"`;
  return godwitError(
    'GODWIT_USAGE',
    { what },
    { hint: hint === undefined ? help : `${hint} ${help}` },
  );
}

/** GODWIT_USAGE with the nearest name if help is requested for an unknown verb. */
function mustKnowHelpOf(program: Command, [first, word]: readonly string[]): void {
  if (first !== 'help' || word === undefined || word.startsWith('-') || word === 'help') return;
  const isThere = program.commands.some(
    (each) => each.name() === word || each.aliases().includes(word),
  );
  if (!isThere) throw unknownVerb(program, word);
}

function commandOf(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    const child = command.commands.find(
      (each) => each.name() === word || each.aliases().includes(word),
    );
    if (child !== undefined) command = child;
  }
  return command;
}

function usageError(error: CommanderError, command: Command): GodwitError {
  const path = pathOf(command);
  const help = `See \`${path} --help\`.`;
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  const [typed = ''] = quoted.split(/[ =]/, 1);
  const usage = (what: string, hint: string | undefined): GodwitError =>
    godwitError(
      'GODWIT_USAGE',
      { what },
      { hint: hint === undefined ? help : `${hint} ${help}`, cause: error },
    );
  switch (error.code) {
    case 'commander.unknownCommand':
      return unknownVerb(command, quoted);
    case 'commander.unknownOption': {
      const flags = command.options.map((each) => each.long ?? '').concat('--help');
      return usage(`${path} has no flag ${typed}`, didYouMean(typed, flags));
    }
    case 'commander.missingArgument':
      return usage(`${path} needs <${quoted}>`, undefined);
    case 'commander.optionMissingArgument':
      return usage(`${path}: ${quoted} needs a value`, undefined);
    case 'commander.excessArguments':
      return usage(`${path} takes fewer words${firstTooMany(command)}`, undefined);
    default:
      return usage(error.message.replace(/^error: /, ''), undefined);
  }
}

function firstTooMany({ args, registeredArguments }: Command): string {
  const word = args[registeredArguments.length];
  return word === undefined ? ' than that' : `: "${word}" is one too many`;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

const SWITCHES = new Set(['--json', '-v', '--verbose']);

/** Moves the verb before connection flags, --json and -v. */
export function verbFirst(argv: readonly string[]): string[] {
  let at = 0;
  while (at < argv.length) {
    const [name = '', ...value] = (argv[at] ?? '').split('=');
    const isAgent = name.startsWith('--') && name.slice(2) in CONNECTION_FLAGS;
    if (!isAgent && !SWITCHES.has(name)) break;
    at += isAgent && value.length === 0 ? 2 : 1;
  }
  const rest = argv.slice(at);
  if (at === 0 || rest.length === 0) return [...argv];
  // Words after `--` are not flags.
  const end = rest.indexOf('--');
  const flags = argv.slice(0, at);
  return end < 0 ? [...rest, ...flags] : [...rest.slice(0, end), ...flags, ...rest.slice(end)];
}
