import { enableCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import type { CheckerLine } from '../mover/public.ts';
import { jsonLine } from '../formats/json.ts';

/**
 * Looks at guests, hosts and storage for the agent that started it: for each line of `question` that comes in, lines of
 * `checkerLine` go out. It ends with its input; the agent kills it where storage keeps it.
 */
enableCompileCache();
const { COMPILES_AHEAD, resolveImportsDirectly } =
  await import('../system/processes/small-process.ts');
resolveImportsDirectly();
const { callsUnderWay } = await import('../system/processes/hanging-calls.ts');
const { runChecker } = await import('../agent/preflight/checker.ts');

const [config = ''] = process.argv.slice(2);
if (config === COMPILES_AHEAD) {
  await Promise.all([
    import('../agent/peers.ts'),
    import('../mover/look/direct.ts'),
    import('../mover/direct/load-ahead.ts').then(({ loadAhead }) => loadAhead()),
    import('../mover/direct/destination/assess.ts'),
    import('../mover/direct/destination/destination-context.ts'),
  ]);
  process.exit(0);
}
const input = createInterface({ input: process.stdin });
const closed = new AbortController();
let isBusy = false;
input.on('close', () => {
  closed.abort(new Error('its agent no longer asks'));
  if (!isBusy) process.exit(0);
});
input.on('line', (text) => {
  isBusy = true;
  void runChecker(config, text, closed.signal, (line) => {
    if ('host' in line) return say(line);
    // What it has just closed is closed by then.
    setImmediate(() => {
      say('answer' in line ? { ...line, isClear: isClear() } : line, () => {
        isBusy = false;
        if (closed.signal.aborted) process.exit(0);
      });
    });
  });
});

function say(line: CheckerLine, then?: () => void): void {
  process.stdout.write(jsonLine(line), then);
}

/** No thread of it waits for storage, for a name or for a device, and no program that it started runs. */
function isClear(): boolean {
  if (callsUnderWay() > 0) return false;
  const kinds = process.getActiveResourcesInfo();
  return !kinds.some((kind) => kind.includes('Req') || kind === 'ProcessWrap');
}
