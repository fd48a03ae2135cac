import { Argument as CommanderArgument, Command, Option } from 'commander';
import { PRODUCT_VERSION } from '../protocol/version.ts';
import type { Context } from './context.ts';
import { flagName } from './values.ts';
import {
  CONNECTION_FLAGS,
  isGroup,
  kebab,
  type Argument,
  type Flag,
  type Spec,
  type Verb,
  type VerbGroup,
} from './verb.ts';

/** A verb that was asked for, with the words of the line as they were typed. */
export interface Chosen {
  readonly verb: Verb;
  readonly words: readonly (string | readonly string[] | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Commander's program for the table. Verbs of a group are imported only when `argv` names the group.
 * `onChosen` is called with the verb that the line names.
 */
export async function buildProgram(
  argv: readonly string[],
  table: readonly (Verb | VerbGroup)[],
  context: Context,
  onChosen: (chosen: Chosen) => void,
): Promise<Command> {
  const program = new Command('godwit')
    .description('Moves running virtual machines from host to host.')
    .version(PRODUCT_VERSION, '-V, --version', 'print the version')
    .usage('<verb> [options]')
    .helpCommand('help [verb]', 'print the help of a verb')
    .addHelpText('after', HELP_AFTER);
  settle(program, context);
  for (const entry of table) {
    const command = program.command(isGroup(entry) ? entry.name : entry.spec.name);
    settle(command, context);
    if (!isGroup(entry)) fillVerb(command, entry, onChosen);
    else await fillGroup(command, entry, argv.includes(entry.name) ? context : undefined, onChosen);
  }
  return program;
}

function settle(command: Command, context: Context): void {
  command
    .exitOverride()
    .showSuggestionAfterError(false)
    .configureOutput({
      writeOut: (text) => context.out.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => Math.min(context.out.columns(), 100),
      getErrHelpWidth: () => Math.min(context.err.columns(), 100),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .configureHelp({ subcommandTerm })
    .helpOption('-h, --help', 'print this help');
}

function subcommandTerm(command: Command): string {
  const words = command.registeredArguments.map((each) => {
    const name = each.variadic ? `${each.name()}...` : each.name();
    return each.required ? `<${name}>` : `[${name}]`;
  });
  return [command.name(), ...words].join(' ');
}

async function fillGroup(
  command: Command,
  group: VerbGroup,
  context: Context | undefined,
  onChosen: (chosen: Chosen) => void,
): Promise<void> {
  command.summary(group.summary).description(sentence(group.summary)).usage('<verb> [options]');
  command.helpCommand(false).addHelpText('after', examplesText(group.examples));
  for (const verb of context === undefined ? [] : await group.verbs()) {
    const child = command.command(verb.spec.name);
    if (context !== undefined) settle(child, context);
    fillVerb(child, verb, onChosen);
  }
}

function fillVerb(command: Command, verb: Verb, onChosen: (chosen: Chosen) => void): void {
  const { spec } = verb;
  const { aliases = [] } = spec;
  const also = aliases.length === 0 ? '' : ` (also: ${aliases.join(', ')})`;
  const details = spec.details === undefined ? '' : `\n\n${spec.details}`;
  command.aliases(aliases).summary(`${spec.summary}${also}`);
  command.description(sentence(`${spec.summary}${also}`) + details);
  for (const [name, argument] of Object.entries(spec.args ?? {})) {
    command.addArgument(commanderArgument(name, argument));
  }
  for (const [name, flag] of Object.entries(flagsOf(spec))) {
    const made = option(name, flag);
    const saysAgent = spec.usesAgent === true && name in CONNECTION_FLAGS;
    command.addOption(saysAgent ? made.helpGroup('Which agent:') : made);
  }
  command.addHelpText('after', examplesText(spec.examples) + jsonText(spec.json));
  command.action(() => {
    onChosen({ verb, words: command.processedArgs as Chosen['words'], options: command.opts() });
  });
}

/** Every flag of a verb: its own, then --json and -v, then those that say which agent. */
export function flagsOf(spec: Spec): Readonly<Record<string, Flag>> {
  return {
    ...spec.flags,
    ...(spec.json === undefined ? {} : { json: JSON_FLAG }),
    verbose: VERBOSE_FLAG,
    ...(spec.usesAgent === true ? { ...CONNECTION_FLAGS, ...spec.flags } : {}),
  };
}

const JSON_FLAG: Flag = { kind: 'switch', summary: 'print JSON, for programs' };
const VERBOSE_FLAG: Flag = { kind: 'switch', short: 'v', summary: "print an error's causes too" };

function commanderArgument(name: string, argument: Argument): CommanderArgument {
  const shown = argument.kind === 'choice' ? (argument.choices ?? []).join('|') : kebab(name);
  const all = argument.repeatable === true ? `${shown}...` : shown;
  const text = argument.required === true ? `<${all}>` : `[${all}]`;
  return new CommanderArgument(text, argument.summary);
}

function option(name: string, flag: Flag): Option {
  const value = flag.value ?? (flag.choices === undefined ? flag.kind : flag.choices.join('|'));
  const place = flag.optionalValue === true ? ` [${value}]` : ` <${value}>`;
  const preset = flag.preset === undefined ? '' : ` (default: ${flag.preset})`;
  const made = new Option(
    (flag.short === undefined ? '' : `-${flag.short}, `) +
      flagName(name) +
      (flag.kind === 'switch' ? '' : place),
    flag.summary + preset,
  );
  if (flag.repeatable === true) {
    made.argParser<readonly string[] | undefined>((value, before) => [...(before ?? []), value]);
  }
  return flag.hidden === true ? made.hideHelp() : made;
}

function examplesText(examples: readonly string[]): string {
  const title = examples.length === 1 ? 'Example:' : 'Examples:';
  return `\n${title}\n${examples.map((line) => `  godwit ${line}`).join('\n')}\n`;
}

function jsonText(json: string | undefined): string {
  if (json === undefined) return '';
  const where = json.includes('{') ? '' : '\nShapes are in docs/json.md.';
  return `\nWith --json: ${json}${where}\n`;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

const VARIABLES: readonly (readonly [string, string])[] = [
  ['GODWIT_AGENT', 'as --agent'],
  ['GODWIT_CONTROLLER', 'as --controller, if no agent and no lab is named'],
  ['GODWIT_LAB', 'as --lab'],
  ['GODWIT_CONTEXT', 'as --context'],
  ['GODWIT_DEBUG=1', 'as -v: errors are printed with their causes'],
  ['NO_COLOR', 'no color, on any terminal'],
  ['FORCE_COLOR', 'color, even if the output is not a terminal'],
  ['LC_ALL, LC_CTYPE, LANG', 'without UTF-8, marks are plain ASCII'],
];

/** What each exit code means; docs/errors.md and the help show them. */
export const EXITS: readonly (readonly [number, string])[] = [
  [0, 'success'],
  [2, 'the command line or a configuration file is wrong'],
  [3, 'a name that does not exist'],
  [4, 'refused before anything started'],
  [5, 'failed; the error names the host that runs the guest, usually the source'],
  [6, 'cancelled; the guest keeps running at the source'],
  [7, 'held or lost: an operator must act'],
  [8, 'no answer in time'],
  [9, 'not allowed'],
  [70, 'a defect in Godwit'],
  [
    130,
    'a signal ended the watching (129 SIGHUP, 130 Ctrl-C, 143 SIGTERM); the watched work continues',
  ],
];

/** Behind the list of verbs. */
const HELP_AFTER = `
The flags that select an agent, --json and -v may also come before the verb.
Every verb has help: godwit migrate --help

Environment:
${lines(VARIABLES)}

Exit codes:
${lines(EXITS.map(([code, words]) => [String(code), words]))}`;

function lines(rows: readonly (readonly [string, string])[]): string {
  const widest = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, words]) => `  ${name.padEnd(widest)}  ${words}`).join('\n');
}
