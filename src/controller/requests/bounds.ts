import { MAX_TEXT } from '../../protocol/names.ts';
import { MAX_GUESTS, type FleetRequest } from '../../protocol/controller/fleet-request.ts';

/** Cuts the request to its schema's bounds, because stored requests must be readable. */
export function bounded(request: FleetRequest): FleetRequest {
  const { queue, stays, refused } = request;
  const notes = [
    ...(queue.length > MAX_GUESTS ? [`${queue.length - MAX_GUESTS} waiting are not listed`] : []),
    ...(stays.length > MAX_GUESTS ? [`${stays.length - MAX_GUESTS} staying are not listed`] : []),
  ];
  return {
    ...request,
    queue: boundedList(queue),
    stays: boundedList(stays),
    refused: Object.fromEntries(
      Object.entries(refused).map(([guest, words]) => [guest, clipped(words)]),
    ),
    words: clipped([...notes, request.words].join(', ')),
  };
}

export const boundedList = <E extends { readonly words: string }>(entries: readonly E[]): E[] =>
  entries.slice(0, MAX_GUESTS).map((each) => ({ ...each, words: clipped(each.words) }));

export const clipped = (text: string): string =>
  text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`;

export const boundedWords = (texts: readonly string[], most: number): string[] =>
  texts.slice(0, most).map(clipped);
