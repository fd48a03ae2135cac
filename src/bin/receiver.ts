import { createInterface } from 'node:readline';
import { enableCompileCache } from 'node:module';
import { jsonLine } from '../formats/json.ts';

/**
 * Receives a guest's memory for its manager: one line of `receiverOrder` comes in, one of `receiverLine` goes out. It ends
 * with its session, and not with the agent that started it.
 */
enableCompileCache();
const { resolveImportsDirectly } = await import('../system/processes/small-process.ts');
resolveImportsDirectly();
const { runReceiver } = await import('../mover/receiver/main.ts');

const [config = ''] = process.argv.slice(2);
// Its agent and the terminal may end before it.
process.on('SIGHUP', () => undefined);
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
const input = createInterface({ input: process.stdin });
input.once('line', (text) => {
  input.close();
  void runReceiver(config, text, (line) => {
    process.stdout.write(jsonLine(line));
  }).then(() => process.exit(0));
});
