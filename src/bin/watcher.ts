import { enableCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import type { Later } from '../protocol/public/probe.ts';
import type { WatchResult } from '../protocol/peer/probe.ts';
import { jsonLine } from '../formats/json.ts';

/**
 * Watches one guest from this host for the agent that started it: lines of `watcherLine` come in; out go one line of
 * JSON once it is at work, and one for `end`. It ends with its input, and by itself when its lease is over.
 */
enableCompileCache();
const { resolveImportsDirectly } = await import('../system/processes/small-process.ts');
resolveImportsDirectly();
const { GuestWatch } = await import('../network/probe/watch.ts');
const { watcherLine } = await import('../protocol/peer/probe.ts');

/** Cleaning up may start a program. */
const CLOSE_MS = 6000;
/** Between two lines of what is seen after the end, ms. */
const LATER_MS = 5000;

let watch: InstanceType<typeof GuestWatch> | undefined;
/** Whatever follows was asked before. */
let hasEnded = false;
let lease: NodeJS.Timeout | undefined;

const leave = (): void => {
  setTimeout(() => process.exit(1), CLOSE_MS).unref();
  void (watch?.close() ?? Promise.resolve()).finally(() => process.exit(0));
};
const stay = (forMs: number): void => {
  clearTimeout(lease);
  lease = setTimeout(leave, forMs);
};

/** Of what is seen after the end, until that time is over. */
const reportLater = (laterMs: number): void => {
  stay(laterMs + CLOSE_MS);
  const write = (complete: boolean, then?: () => void): void => {
    if (watch === undefined) return;
    const later: Later = { ...watch.later(), complete };
    process.stdout.write(jsonLine({ later }), then);
  };
  const timer = setInterval(() => write(false), Math.min(LATER_MS, laterMs / 2));
  setTimeout(() => {
    clearInterval(timer);
    write(true, leave);
  }, laterMs);
};

/** Nothing to watch is reported at once, and there is nothing to stay for. */
const report = (nothing: WatchResult | undefined): void => {
  if (nothing === undefined) process.stdout.write('{"begun":true}\n');
  else process.stdout.write(jsonLine(nothing), leave);
};

for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, leave);
process.stdout.on('error', leave);
const lines = createInterface({ input: process.stdin });
lines.on('close', leave);
lines.on('line', (text) => {
  try {
    const line = watcherLine.parse(JSON.parse(text));
    if (hasEnded) return;
    if (line.verb === 'end') {
      hasEnded = true;
      const outcome: Promise<WatchResult> =
        watch?.end(line) ?? Promise.resolve({ notTried: 'nothing was to be watched' });
      void outcome.then((result) => {
        const { goesOnMs } = result;
        const then = goesOnMs === undefined ? leave : () => reportLater(goesOnMs);
        process.stdout.write(jsonLine(result), then);
      });
      return;
    }
    stay(line.leaseMs);
    if (line.verb !== 'watch' || watch !== undefined) return;
    watch = new GuestWatch(line);
    void watch.begun().then(report);
  } catch (thrown) {
    process.stderr.write(`${String(thrown)}\n`);
    leave();
  }
});
