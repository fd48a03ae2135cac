import { parseArgs } from 'node:util';
import { restartCompiled, restartSmall } from '../small-process.ts';

restartSmall();
const { runRelay } = await import('../relay/main.ts');
restartCompiled();

const { values } = parseArgs({ options: { config: { type: 'string' } } });
if (values.config === undefined) {
  process.stderr.write('usage: relay --config FILE\n');
  process.exit(2);
}
try {
  await runRelay(values.config);
  process.exit(0);
} catch (thrown) {
  const { GodwitError } = await import('../errors.ts');
  const known = thrown instanceof GodwitError;
  process.stderr.write(
    known ? `${thrown.code}: ${thrown.message}\n${thrown.hint}\n` : `${String(thrown)}\n`,
  );
  process.exit(known ? thrown.exit : 70);
}
