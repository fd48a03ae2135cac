import type { Log } from '../../log.ts';

/** Resolves at the first SIGTERM or SIGINT. A second one ends the process at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.once(name, () => {
        process.once(name, () => process.exit(1));
        resolve(name);
      });
    }
  });
}

/** An unhandled rejection must not end every call; an uncaught error may have left anything behind. */
export function logDefects(log: Log, program: string): void {
  process.on('unhandledRejection', (error) => log.error({ error }, 'defect: unhandled rejection'));
  process.on('uncaughtException', (error) => {
    log.error({ error }, `defect: the ${program} ends and must be restarted`);
    process.exit(70);
  });
}
