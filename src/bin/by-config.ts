import { parseArgs } from 'node:util';

type OptionValues = Readonly<Record<string, string | undefined>>;

/**
 * The shell of a process that runs until it is asked to end: reads `--config FILE` and the options `more`, runs, and ends
 * with 0. An error's message and hint go to standard error and its exit code is the process's: 70 where the error is
 * none of ours, 2 with `usage` where `--config` lacks.
 */
export async function runByConfig(
  usage: string,
  run: (configFile: string, given: OptionValues) => Promise<void>,
  more: readonly string[] = [],
): Promise<never> {
  const text = { type: 'string' } as const;
  const options = Object.fromEntries(['config', ...more].map((name) => [name, text]));
  const values: OptionValues = parseArgs({ options }).values;
  if (values['config'] === undefined) {
    process.stderr.write(`usage: ${usage}\n`);
    process.exit(2);
  }
  try {
    await run(values['config'], values);
    process.exit(0);
  } catch (thrown) {
    // Loaded here only: a process that is kept small has no error to print.
    const { GodwitError } = await import('../errors.ts');
    const known = thrown instanceof GodwitError;
    // In the words of the command line, which has become this process.
    process.stderr.write(
      known ? `error: ${thrown.message}\nhint: ${thrown.hint}\n` : `${String(thrown)}\n`,
    );
    process.exit(known ? thrown.exit : 70);
  }
}
