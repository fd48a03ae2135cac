import { Argument as CommanderArgument, Command, Option } from 'commander';
import { PRODUCT_VERSION } from '../protocol/version.ts';
import type { Context } from './context.ts';
import { firstScreen, groupHelp, verbHelp, wholeHelp } from './help.ts';
import { flagName } from './values.ts';
import {
  flagsOf,
  isGroup,
  kebab,
  type Argument,
  type Entry,
  type Flag,
  type Verb,
  type VerbGroup,
} from './verb.ts';

export interface VerbInvocation {
  readonly verb: Verb;
  readonly words: readonly (string | readonly string[] | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Commander's program for the table. A group's verbs are imported only if `argv` names the group. `onChosen` gets the
 * verb of the line.
 */
export async function buildProgram(
  argv: readonly string[],
  table: readonly Entry[],
  context: Context,
  onChosen: (chosen: VerbInvocation) => void,
): Promise<Command> {
  const page = asksForAll(argv) ? wholeHelp : firstScreen;
  const program = new Command('godwit')
    .version(PRODUCT_VERSION, '-V, --version', 'print the version')
    .helpCommand('help [verb]');
  settle(program, context, (columns) => page(table, columns));
  for (const entry of table) {
    const command = program.command(isGroup(entry) ? entry.name : entry.spec.name);
    if (!isGroup(entry)) fillVerb(command, '', entry, context, onChosen);
    else await fillGroup(command, entry, argv, context, onChosen);
  }
  return program;
}

export function asksForAll(argv: readonly string[]): boolean {
  return argv.length === 2 && argv[0] === 'help' && argv[1] === '--all';
}

function settle(command: Command, context: Context, page: (columns: number) => string): void {
  command
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => context.out.write(text),
      writeErr: () => {},
    })
    .configureHelp({ formatHelp: () => page(context.out.columns()) })
    .helpOption('-h, --help', 'print this help');
}

async function fillGroup(
  command: Command,
  group: VerbGroup,
  argv: readonly string[],
  context: Context,
  onChosen: (chosen: VerbInvocation) => void,
): Promise<void> {
  const members = argv.includes(group.name) ? await group.verbs() : [];
  const specs = members.map(({ spec }) => spec);
  settle(command, context, (columns) => groupHelp(group, specs, columns));
  command.helpCommand(false);
  for (const member of members) {
    fillVerb(command.command(member.spec.name), `${group.name} `, member, context, onChosen);
  }
}

function fillVerb(
  command: Command,
  before: string,
  verb: Verb,
  context: Context,
  onChosen: (chosen: VerbInvocation) => void,
): void {
  const { spec } = verb;
  settle(command, context, (columns) => verbHelp(before + spec.name, spec, columns));
  command.aliases(spec.aliases ?? []);
  for (const [name, argument] of Object.entries(spec.args ?? {})) {
    command.addArgument(commanderArgument(name, argument));
  }
  for (const [name, flag] of Object.entries(flagsOf(spec))) command.addOption(option(name, flag));
  command.action(() => {
    onChosen({
      verb,
      words: command.processedArgs as VerbInvocation['words'],
      options: command.opts(),
    });
  });
}

function commanderArgument(name: string, argument: Argument): CommanderArgument {
  const shown = argument.kind === 'choice' ? (argument.choices ?? []).join('|') : kebab(name);
  const all = argument.repeatable === true ? `${shown}...` : shown;
  const text = argument.required === true ? `<${all}>` : `[${all}]`;
  return new CommanderArgument(text);
}

function option(name: string, flag: Flag): Option {
  const place = flag.optionalValue === true ? ' [value]' : ' <value>';
  const made = new Option(
    (flag.short === undefined ? '' : `-${flag.short}, `) +
      flagName(name) +
      (flag.kind === 'switch' ? '' : place),
  );
  if (flag.repeatable === true) {
    made.argParser<readonly string[] | undefined>((value, before) => [...(before ?? []), value]);
  }
  return made;
}
