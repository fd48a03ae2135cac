import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';

/** Output of a command of the human monitor, for values that not every QEMU version has in QMP. */
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
