import { godwitError, hasCode } from '../errors.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './connection/agent-set.ts';

/** Time to wait for a restarted agent; the reported work continues without it. */
const AGENT_ABSENCE_MS = 60_000;
const RETRY_MS = 500;

export interface Reading<Line> {
  readonly endpoint: Pick<Endpoint, 'label'>;
  readonly open: (signal: AbortSignal) => AsyncIterable<Line>;
  readonly isLast: (line: Line) => boolean;
  readonly onLine: (line: Line) => void;
}

/**
 * Reads a live view to its last line, over several connections if necessary. GODWIT_UNREACHABLE or GODWIT_DEADLINE if
 * its agent is away for a minute.
 */
export async function readToEnd<Line>(
  context: Context,
  { endpoint, open, isLast, onLine }: Reading<Line>,
  signal: AbortSignal,
): Promise<Line> {
  let silentSinceMs: number | undefined;
  for (;;) {
    let failure: unknown = godwitError('GODWIT_UNREACHABLE', {
      peer: 'the agent',
      address: endpoint.label,
      reason: 'it ended the stream of events',
    });
    try {
      for await (const line of open(signal)) {
        silentSinceMs = undefined;
        onLine(line);
        if (isLast(line)) return line;
      }
    } catch (error) {
      if (!isAway(error)) throw error;
      failure = error;
    }
    signal.throwIfAborted();
    const nowMs = context.clock.monotonicMs();
    silentSinceMs ??= nowMs;
    if (nowMs - silentSinceMs > AGENT_ABSENCE_MS) throw failure;
    await context.clock.sleep(RETRY_MS, signal);
  }
}

/** The agent does not answer, which says nothing about the work. */
export function isAway(error: unknown): boolean {
  return hasCode(error, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
}
