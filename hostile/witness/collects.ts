/**
 * Loaded before the attacked host's agent (`--import`): at SIGUSR2 it collects all its garbage and says so in its log, so
 * that what is measured then is what it keeps. The product itself has no such switch.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export const COLLECTED = 'all garbage is collected';

if (/\/bin\/(agent|controller)\.ts$/.test(process.argv[1] ?? '')) {
  process.on('SIGUSR2', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as (how: object) => void;
    // What only buffers and finalisers held goes in a second pass; the last one gives memory back to the kernel.
    for (let pass = 0; pass < 3; pass += 1) collect({ type: 'major', flavor: 'last-resort' });
    const { heapUsed, external } = process.memoryUsage();
    process.stderr.write(`${COLLECTED}: ${heapUsed + external} bytes are in use\n`);
  });
}
