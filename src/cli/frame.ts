import type { Command } from 'commander';
import { contextWith, type Context } from './context.ts';
import { printFailure } from './failure.ts';
import { buildProgram, type Chosen } from './program.ts';
import { isNotation, readInput } from './input.ts';
import { inLocale } from './ascii.ts';
import { mustKnowHelpOf, rewriteUsageError } from './usage.ts';
import { verbFirst } from './verb-first.ts';
import type { Verb, VerbGroup } from './verb.ts';

/**
 * Runs one command line (without `node` and the program's name) and returns the exit code.
 * Never throws: whatever goes wrong is printed as an error of the table.
 */
export async function runCommandLine(
  typed: readonly string[],
  table: readonly (Verb | VerbGroup)[],
  given: Context,
): Promise<number> {
  const argv = verbFirst(typed);
  // Before the line is understood, --json may already have been asked for.
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

/** The verb that the line names, with its words; undefined when the help has been printed. */
async function choose(
  argv: readonly string[],
  table: readonly (Verb | VerbGroup)[],
  context: Context,
): Promise<Chosen | undefined> {
  let chosen: Chosen | undefined;
  const program: Command = await buildProgram(argv, table, context, (found) => {
    chosen = found;
  });
  mustKnowHelpOf(program, argv);
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

/** The notation that `-o` names, in each way of writing it; undefined where it names none. */
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
    // A list that is watched is one document after another.
    return contextWith(given, { notation: (value) => `---\n${stringify(value)}` });
  }
  // Programs read JSON as UTF-8, whatever the terminal.
  return json ? given : inLocale(given);
}
