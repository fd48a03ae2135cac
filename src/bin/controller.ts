import { parseArgs } from 'node:util';
import { runController } from '../controller/main.ts';
import { GodwitError } from '../errors.ts';

const text = { type: 'string' } as const;
const { values } = parseArgs({ options: { config: text, database: text } });
if (values.config === undefined) {
  process.stderr.write('usage: controller --config FILE [--database sqlite:PATH]\n');
  process.exit(2);
}
try {
  await runController(values.config, values.database);
  process.exit(0);
} catch (thrown) {
  const known = thrown instanceof GodwitError;
  process.stderr.write(
    known ? `${thrown.code}: ${thrown.message}\n${thrown.hint}\n` : `${String(thrown)}\n`,
  );
  process.exit(known ? thrown.exit : 70);
}
