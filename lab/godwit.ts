import { runCommandLine } from '../src/cli/frame.ts';
import { systemContext } from '../src/cli/system.ts';
import { TABLE_WITH_LAB } from './cli/table.ts';

/** The command line of a clone: `./godwit VERB ...`, with the verbs of the lab. A package has src/bin/godwit.ts. */
process.exitCode = await runCommandLine(process.argv.slice(2), TABLE_WITH_LAB, {
  ...systemContext(),
  hasLab: true,
});
