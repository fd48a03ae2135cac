import type { ServerResponse } from 'node:http';

/** What it answers is called once the answer is out, or its caller gone. `operation`: the route's name in the contract. */
export type Watch = (operation: string, isStream: boolean) => (status: number) => void;

/** nginx's status of a request whose caller left before its answer. */
const LEFT = 499;

export function watchAnswer(
  watched: ReturnType<Watch> | undefined,
  response: ServerResponse,
): void {
  if (watched === undefined) return;
  response.once('close', () => watched(response.headersSent ? response.statusCode : LEFT));
}
