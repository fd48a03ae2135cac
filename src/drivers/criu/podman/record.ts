import { z } from 'zod';
import type { Runc } from '../runtimes/runc.ts';

/**
 * podman creates, as root, any container that a record describes. Another host's record must be of the assessed
 * container and must not reach this host.
 */

const MAX_CHARS = 1024 ** 2;

const named = z.looseObject({ id: z.string(), name: z.string() });

const nothing = z
  .union([z.array(z.unknown()).max(0), z.record(z.string(), z.array(z.unknown()).max(0).nullish())])
  .nullish();

const spec = z.looseObject({
  hooks: nothing,
  mounts: z
    .array(
      z.looseObject({
        destination: z.string(),
        type: z.string().nullish(),
        source: z.string().nullish(),
        options: z.array(z.string()).nullish(),
      }),
    )
    .nullish(),
  linux: z.looseObject({
    devices: z.array(z.unknown()).max(0, 'devices').nullish(),
    namespaces: z.array(z.looseObject({ type: z.string(), path: z.string().nullish() })),
  }),
});

export interface ExpectedContainer {
  readonly id: string;
  readonly name: string;
  /** podman's directories, which contain one directory per container. */
  readonly graph: string;
  readonly run: string;
}

const OWN_KINDS = ['pid', 'ipc', 'uts', 'mount', 'network'];
const MOUNTS = ['proc', 'sysfs', 'tmpfs', 'devpts', 'mqueue', 'cgroup'];

/** Reason why podman must not create that container here; undefined if it may. Pure. */
export function whyNotRecord(
  config: string,
  dump: string,
  { id, name, graph, run }: ExpectedContainer,
): string | undefined {
  const own = named.safeParse(parsed(config));
  if (!own.success || own.data.id !== id || own.data.name !== name)
    return 'it is the record of another container';
  const given = spec.safeParse(parsed(dump));
  if (!given.success) return z.prettifyError(given.error).replaceAll('\n', ' ').slice(0, 300);
  const { mounts, linux } = given.data;
  const dirs = [graph, run].map((root) => `${root}/overlay-containers/${id}/userdata/`);
  const foreign = (mounts ?? []).find(({ type, source, options }) => {
    const isBind =
      type === 'bind' || (options ?? []).some((each) => each === 'bind' || each === 'rbind');
    if (!isBind) return !MOUNTS.includes(type ?? '');
    const isPlain = source?.split('/').every((part) => part !== '..' && part !== '.') === true;
    return !isPlain || !dirs.some((dir) => source?.startsWith(dir) === true);
  });
  if (foreign !== undefined) return `it mounts ${foreign.source} at ${foreign.destination}`;
  const missing = OWN_KINDS.find((kind) => !linux.namespaces.some(({ type }) => type === kind));
  if (missing !== undefined) return `it has no ${missing} namespace of its own`;
  const shared = linux.namespaces.find(
    ({ type, path }) => type !== 'network' && (path ?? '') !== '',
  );
  return shared === undefined ? undefined : `it shares the ${shared.type} namespace`;
}

function parsed(text: string): unknown {
  try {
    return text.length > MAX_CHARS ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

/** Throws if podman must not create a container from the record. */
export async function checkRecord(
  run: Runc['run'],
  archive: string,
  expected: ExpectedContainer,
): Promise<void> {
  const read = (name: string): Promise<string> => run(['tar', '-xOf', archive, name]);
  const why = whyNotRecord(await read('config.dump'), await read('spec.dump'), expected);
  if (why !== undefined) throw new Error(`the record that the source packed is refused: ${why}`);
}
