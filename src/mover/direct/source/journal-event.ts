import { godwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { sourceEvent, type SourceEvent } from '../../../migration/direct/source-state.ts';
import { whatIsWrong } from '../../../protocol/errors.ts';

/** What the journal can hold: a driver's answer that breaks the schema fails its step, a sample is left out. */
export function fitEvent(event: SourceEvent, log: Log): SourceEvent | undefined {
  const parsed = sourceEvent.safeParse(event);
  if (parsed.success) return parsed.data;
  const what = `${event.type}: ${whatIsWrong(parsed.error)}`;
  log.error({ event: event.type, what }, 'left out what the journal cannot hold');
  if (event.type !== 'did') return undefined;
  const error = godwitError('GODWIT_INTERNAL', { what }).toJSON();
  return { type: 'failed', step: event.step, error };
}
