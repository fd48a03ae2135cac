import { statfs } from 'node:fs/promises';
import { systemClock } from '../../../src/clock.ts';
import { PreflightAnswers } from '../../../src/agent/preflight/answers.ts';
import { askHere, askProcess } from '../../../src/agent/preflight/checker-process.ts';
import { loadAgentConfig } from '../../../src/config.ts';

/** A host whose storage hangs is asked by two others, as often as it lets them; then, whether this process still works. */
const [file = '', where = ''] = process.argv.slice(2);
const config = loadAgentConfig(file);
const parts = { config, clock: undefined as never, drivers: [], peers: undefined as never };
const apart = where === 'apart' ? askProcess(file) : askHere(parts);
const answers = new PreflightAnswers({ clock: systemClock, config, apart, incoming: {} as never });

const id = 'c-0000000000000001';
const admission = { id, guest: 'web1', memoryBytes: 1, epoch: 1, timeoutMs: 1000 };
const proof = { places: [{ directory: '', file: `.godwit-${id}` }] };
const codes = await Promise.all(
  ['a', 'c'].flatMap((from) =>
    Array.from({ length: 4 }, () =>
      answers
        .storage({ admission: { ...admission, from }, proof }, {
          role: 'agent',
          name: from,
        } as never)
        .then(
          () => 'answered',
          ({ code }: { code: string }) => code,
        ),
    ),
  ),
);
// Asked after them: whoever shares their threads waits behind what hangs.
const works = await Promise.race([
  statfs('/').then(() => true),
  new Promise((resolve) => {
    setTimeout(resolve, 5000, false).unref();
  }),
]);
process.stdout.write(`${JSON.stringify({ works, codes })}\n`, () => {
  // It may have threads that hang, and no exit would wait for less.
  process.kill(process.pid, 'SIGKILL');
});
