import { enableCompileCache } from 'node:module';
import { parseArgs } from 'node:util';

enableCompileCache();
const { resolveImportsDirectly } = await import('../system/processes/small-process.ts');
resolveImportsDirectly();
const { runMover } = await import('../mover/main.ts');
const { reportWhyNot } = await import('../mover/startup.ts');
const { toGodwitError } = await import('../errors.ts');

const { values } = parseArgs({
  options: { dir: { type: 'string' }, config: { type: 'string' }, side: { type: 'string' } },
});
const { dir, config, side } = values;
if (dir === undefined || config === undefined || (side !== 'source' && side !== 'destination')) {
  // Its agent starts it like this too, to have its sources compiled ahead: those of both sides.
  await Promise.all([
    import('../mover/direct/load-ahead.ts').then(({ loadAhead }) => loadAhead()),
    import('../mover/direct/source/main.ts'),
    import('../mover/direct/destination/main.ts'),
  ]);
  process.stderr.write('usage: mover --dir DIRECTORY --config FILE --side source|destination\n');
  process.exit(2);
}
// A mover outlives the agent and the terminal that its agent was started from.
process.on('SIGHUP', () => {});
try {
  await runMover({ dir, config, side });
  process.exit(0);
} catch (thrown) {
  process.stderr.write(
    `${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`,
  );
  reportWhyNot(toGodwitError(thrown));
  process.exit(1);
}
