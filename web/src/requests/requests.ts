import { signal } from '@preact/signals';
import type {
  Move,
  FleetRequest,
  FleetRequestPhase,
} from '../../../src/protocol/controller/fleet-request.ts';
import type { FleetRequestPlan } from '../../../src/protocol/controller/fleet-requests.ts';
import { ask, asProblem, Problem } from '../base/http.ts';
import type { Ask } from './ask.ts';
import { newsOfResult } from './results.ts';

/** Requests to the fleet, newest first. */
export const requests = signal<readonly FleetRequest[] | Problem | undefined>(undefined);

/** Maximum number of ended requests in the list; all open requests stay. */
export const MAX_ENDED = 1000;

/** Requests reported during each query that is under way: the answer of the query may be older. */
const reportedMeanwhile = new Set<FleetRequest[]>();

export async function askForRequests(until: AbortSignal): Promise<void> {
  const reported: FleetRequest[] = [];
  reportedMeanwhile.add(reported);
  try {
    const answer = await ask<{ requests: FleetRequest[] }>('/v1/requests', { signal: until });
    for (const each of answer.requests) newsOfResult(each);
    requests.value = reported.reduce<readonly FleetRequest[]>(withRequest, answer.requests);
  } catch (thrown) {
    if (until.aborted) return;
    if (knownRequests() === undefined) requests.value = asProblem(thrown);
  } finally {
    reportedMeanwhile.delete(reported);
  }
}

/** A request that is new or has changed. */
export function newsOfRequest(request: FleetRequest): void {
  newsOfResult(request);
  for (const reported of reportedMeanwhile) reported.push(request);
  const known = knownRequests();
  if (known !== undefined) requests.value = withRequest(known, request);
}

/** The list with one request new or changed, without the oldest of too many that have ended. Pure. */
function withRequest(
  list: readonly FleetRequest[],
  request: FleetRequest,
): readonly FleetRequest[] {
  const all = [request, ...list.filter(({ id }) => id !== request.id)].sort(
    (one, other) => other.createdAtMs - one.createdAtMs,
  );
  let ended = 0;
  return all.filter((each) => isOpen(each) || ++ended <= MAX_ENDED);
}

/** The list, if it is loaded. */
export function knownRequests(): readonly FleetRequest[] | undefined {
  const { value } = requests;
  return value instanceof Problem ? undefined : value;
}

export const isOpen = ({ phase }: { readonly phase: FleetRequestPhase }): boolean =>
  phase === 'working' || phase === 'cancelling';

/** A new id made by this page: the same request, sent twice, counts once. */
export function newRequestId(): string {
  const letters = crypto.getRandomValues(new Uint8Array(16));
  return `r-${Array.from(letters, (each) => (each % 36).toString(36)).join('')}`;
}

export function planOf(
  id: string,
  body: Ask,
  until?: AbortSignal,
): Promise<{ plan: FleetRequestPlan }> {
  return ask(`/v1/requests/${id}?dryRun=true`, { method: 'PUT', body, signal: until });
}

export function begin(id: string, body: Ask): Promise<{ started: boolean }> {
  return ask(`/v1/requests/${id}`, { method: 'PUT', body });
}

export function requestOf(
  id: string,
  until: AbortSignal,
): Promise<{ request: FleetRequest; moves: Move[] }> {
  return ask(`/v1/requests/${encodeURIComponent(id)}`, { signal: until });
}

export function cancel(id: string, rollBack: boolean): Promise<{ accepted: boolean }> {
  return ask(`/v1/requests/${encodeURIComponent(id)}/cancel?rollBack=${rollBack}`, {
    method: 'POST',
  });
}

export function undrain(host: string): Promise<{ ok: true }> {
  return ask(`/v1/hosts/${encodeURIComponent(host)}/drain`, { method: 'DELETE' });
}
