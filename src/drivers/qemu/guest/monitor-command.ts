import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';

/** What the monitor for people answers; for what QMP has no counterpart of in every version. */
export function monitorCommand(
  client: QmpClient,
  line: string,
  signal: AbortSignal,
): Promise<string> {
  return client.query(
    'human-monitor-command',
    { 'command-line': line },
    answers.monitorText,
    signal,
  );
}
