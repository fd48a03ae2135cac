import { resolveImportsDirectly } from '../src/system/processes/small-process.ts';

/** The command line of a clone: `./godwit VERB ...`, with the verbs of the lab. A package has src/bin/godwit.ts. */
resolveImportsDirectly();
const { runCommandLine } = await import('../src/cli/frame.ts');
const { systemContext } = await import('../src/cli/system.ts');
const { TABLE_WITH_LAB } = await import('./cli/table.ts');

process.exitCode = await runCommandLine(process.argv.slice(2), TABLE_WITH_LAB, {
  ...systemContext(),
  hasLab: true,
});
