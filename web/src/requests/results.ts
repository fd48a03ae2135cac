/** Requests that this page made, until it has shown their results. */
import type {
  FleetRequest,
  FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import { toast, type Toast } from '../base/toasts.ts';
import { titleOf } from './ask.ts';

type Outcome = Pick<FleetRequest, 'id' | 'phase' | 'words' | 'ask'>;

const waitingFor = new Set<string>();
/** More requests of one page are not waited for. */
const MAX_WAITING = 100;

/** A request was accepted: its result is shown once it has ended. */
export function expectResult(id: string): void {
  if (waitingFor.size < MAX_WAITING) waitingFor.add(id);
}

/** A request has changed; the result of an expected request is shown once. */
export function newsOfResult(request: Outcome): void {
  if (!waitingFor.has(request.id)) return;
  const shown = resultOf(request);
  if (shown === undefined) return;
  waitingFor.delete(request.id);
  toast(shown);
}

/** Outcome of a request; undefined while it is open. Pure. */
export function resultOf({ id, phase, words, ask }: Outcome): Omit<Toast, 'id'> | undefined {
  const what = titleOf(ask);
  const link = linkTo(id);
  switch (phase) {
    case 'working':
    case 'cancelling':
      return undefined;
    case 'done':
      return { words: `${what} is done.`, tone: 'good', link };
    case 'cancelled':
      return { words: `${what} is cancelled.`, tone: 'good', link };
    case 'left':
      return { words: `${what} has ended, and not all is done: ${words}.`, tone: 'warn', link };
  }
}

export const linkTo = (id: string) => ({ href: `/requests/${id}`, words: 'Show it' });

/** The same of a request that was accepted just now. */
export function acceptedWords(ask: Pick<FleetRequestAsk, 'kind' | 'hosts' | 'guest'>): string {
  return `${titleOf(ask)} has begun.`;
}
