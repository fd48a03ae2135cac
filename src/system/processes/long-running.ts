import type { Log } from '../../log.ts';

/** What the programs of a host have in common that run until they are asked to end: the agent and the controller. */

/** The first SIGTERM or SIGINT. A second one ends the process at once. */
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

/** A promise that nobody waits for must not end every call; a thrown error may have left anything behind. */
export function logDefects(log: Log, program: string): void {
  process.on('unhandledRejection', (error) => log.error({ error }, 'defect: unhandled rejection'));
  process.on('uncaughtException', (error) => {
    log.error({ error }, `defect: the ${program} ends and must be restarted`);
    process.exit(70);
  });
}
