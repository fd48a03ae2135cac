import { systemContext } from '../cli/system.ts';
import { runCommandLine } from '../cli/frame.ts';
import { TABLE } from '../cli/table.ts';

/** The command line: `godwit VERB ...`. */
const context = systemContext();
process.exitCode = await runCommandLine(process.argv.slice(2), TABLE, context);
