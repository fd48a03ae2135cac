import { CommanderError, type Command } from 'commander';
import { godwitError, type GodwitError } from '../errors.ts';
import { didYouMean } from '../protocol/nearest.ts';

/**
 * Turns what commander throws into a GODWIT_USAGE with the nearest name, and throws that.
 * Returns true when commander only printed the help or the version.
 */
export function rewriteUsageError(
  error: unknown,
  program: Command,
  argv: readonly string[],
): boolean {
  if (!(error instanceof CommanderError)) throw error;
  const command = commandOf(program, argv);
  if (error.exitCode === 0) return true;
  // A group without a verb: commander has printed its help as an error, which nobody has seen.
  if (error.code !== 'commander.help') throw usageError(error, command);
  command.outputHelp();
  return true;
}

/** Words of other tools, for which there is more than one verb. */
const SEE: Readonly<Record<string, string>> = {
  status:
    '`godwit migrations` lists what goes on, `godwit guest NAME` shows a guest, `godwit hosts` the hosts.',
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

/** GODWIT_USAGE with the nearest name where the help of a verb is asked for that there is not. */
export function mustKnowHelpOf(program: Command, [first, word]: readonly string[]): void {
  if (first !== 'help' || word === undefined || word.startsWith('-') || word === 'help') return;
  const isThere = program.commands.some(
    (each) => each.name() === word || each.aliases().includes(word),
  );
  if (!isThere) throw unknownVerb(program, word);
}

/** The deepest command that the line names. */
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
