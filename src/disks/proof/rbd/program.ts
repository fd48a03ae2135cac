import { execFile } from 'node:child_process';
import { z } from 'zod';
import { imageSpec, type RbdPlace } from '../../../protocol/rbd-name.ts';

/** Runs Ceph's `rbd` program (package ceph-common) for facts and notes of an image. */

/** Limit for one answer, ms; a monitor may be gone, and others wait for the result. */
const ANSWER_MS = 5000;
const MAX_BYTES = 1024 ** 2;
const NO_SUCH = 2;

const info = z.object({
  id: z.string().min(1).max(128),
  size: z.number().int().nonnegative(),
  create_timestamp: z.string().max(128).default(''),
});
const status = z.object({ watchers: z.array(z.unknown()).max(65_536).default([]) });

export interface ImageFacts {
  readonly id: string;
  readonly bytes: number;
  readonly created: string;
}

export async function readImage(place: RbdPlace, signal: AbortSignal): Promise<ImageFacts> {
  const reported = await run(place, ['info', imageSpec(place), '--format', 'json'], signal);
  const { id, size, create_timestamp: created } = info.parse(JSON.parse(reported));
  return { id, bytes: size, created };
}

export async function countWatchers(place: RbdPlace, signal: AbortSignal): Promise<number> {
  const reported = await run(place, ['status', imageSpec(place), '--format', 'json'], signal);
  return status.parse(JSON.parse(reported)).watchers.length;
}

/** Writes a note into the image's metadata, not its data. Requires write permission for the image. */
export async function writeNote(
  place: RbdPlace,
  { name, text }: { readonly name: string; readonly text: string },
  signal: AbortSignal,
): Promise<void> {
  await run(place, ['image-meta', 'set', imageSpec(place), name, text], signal);
}

/** Empty if there is none. */
export async function readNote(
  place: RbdPlace,
  name: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    return (await run(place, ['image-meta', 'get', imageSpec(place), name], signal)).trim();
  } catch (error) {
    if (error instanceof RbdError && error.code === NO_SUCH) return '';
    throw error;
  }
}

/** Idempotent. */
export async function removeNote(
  place: RbdPlace,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await run(place, ['image-meta', 'remove', imageSpec(place), name], signal);
  } catch (error) {
    if (!(error instanceof RbdError) || error.code !== NO_SUCH) throw error;
  }
}

class RbdError extends Error {
  readonly code: number | undefined;

  constructor(message: string, code: number | undefined, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

function run(
  { user, conf, keyring }: RbdPlace,
  words: readonly string[],
  signal: AbortSignal,
): Promise<string> {
  const how = [
    ...(conf === undefined ? [] : ['--conf', conf]),
    ...(user === undefined ? [] : ['--id', user]),
    ...(keyring === undefined ? [] : ['--keyring', keyring]),
  ];
  // SIGKILL, because it ignores other signals while it waits for a lost monitor.
  const options = {
    signal,
    timeout: ANSWER_MS,
    killSignal: 'SIGKILL',
    maxBuffer: MAX_BYTES,
  } as const;
  return new Promise((resolve, reject) => {
    execFile('rbd', [...how, ...words], options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      if (signal.aborted) return reject(signal.reason as Error);
      const code = typeof error.code === 'number' ? error.code : undefined;
      return reject(new RbdError(whyFailed(error, stderr), code, error));
    });
  });
}

function whyFailed(error: { code?: unknown; killed?: boolean | undefined }, said: string): string {
  if (error.code === 'ENOENT') return 'this host has no program `rbd` (package ceph-common)';
  if (error.killed === true) return `Ceph did not answer within ${ANSWER_MS} ms`;
  const last = said.trim().split('\n').at(-1) ?? '';
  return last.slice(0, 512) || `rbd ended with ${String(error.code)}`;
}
