import http from 'node:http';
import { z } from 'zod';
import { godwitError } from '../../../errors.ts';
import { nameAmongHosts } from './container-names.ts';
import type { ManagedContainer } from './managed-containers.ts';

/** podman's containers from its API. runc lists them by ids of 64 digits, which are not guest names. */

const PATH = '/v4.0.0/libpod/containers/json';
/** The list of all guests waits for it. */
const DEADLINE_MS = 2000;
const MAX_BYTES = 16 * 1024 ** 2;

const listed = z.array(
  z.object({
    Id: z.string(),
    Names: z.array(z.string()),
    Pid: z.number().int(),
    PodName: z.string().optional(),
  }),
);

export function containersIn(text: string): ManagedContainer[] {
  return listed
    .parse(JSON.parse(text))
    .flatMap(({ Id: id, Names, Pid: pid, PodName: pod = '' }) => {
      const name = Names.map((each) => nameAmongHosts(each, id)).find((each) => each !== undefined);
      const manager = pod === '' ? 'podman' : `podman, in the pod ${pod}`.slice(0, 128);
      return name === undefined || pid <= 0 ? [] : [{ id, name, pid, manager }];
    });
}

export async function podmanContainers(
  host: string,
  socket: string,
  signal: AbortSignal,
): Promise<ManagedContainer[]> {
  try {
    return containersIn(
      await ask(socket, AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)])),
    );
  } catch (cause) {
    const reason = `${socket}: ${cause instanceof Error ? cause.message : String(cause)}`;
    const facts = {
      hypervisor: 'podman',
      host,
      command: 'containers',
      reason: reason.slice(0, 1000),
    };
    const hint = 'Start podman.socket, or take `podman` out of `drivers.criu`.';
    throw godwitError('GODWIT_HYPERVISOR', facts, { hint, cause });
  }
}

async function ask(socketPath: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  http.get({ socketPath, path: PATH, host: 'localhost', signal }, resolve).on('error', reject);
  const response = await promise;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}`);
  return Buffer.concat(parts).toString();
}
