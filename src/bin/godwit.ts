import { resolveImportsDirectly } from '../system/processes/small-process.ts';

/** The command line: `godwit VERB ...`. */
resolveImportsDirectly();
const { systemContext } = await import('../cli/system.ts');
const { runCommandLine } = await import('../cli/frame.ts');
const { TABLE } = await import('../cli/table.ts');

process.exitCode = await runCommandLine(process.argv.slice(2), TABLE, systemContext());
