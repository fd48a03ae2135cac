/**
 * Programs that replace podman's OCI runtime for one call. podman reads the runtime's path for each call; its
 * record of a container has only the runtime's name. Pure.
 */

/** podman's packed record, and two of Godwit's archives. CRIU ignores all three. */
export const RECORD = 'podman-record.img';
export const LOG = 'podman-log.img';
export const SHM = 'podman-shm.img';

/** podman's own time limit of a restore is longer. */
export const WAIT_S = 200;

export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export interface StandIn {
  readonly runtime: 'runc' | 'crun';
  /** Directory in front of the PATH. */
  readonly programs: string | undefined;
}

const start = ({ programs }: StandIn): string[] => [
  '#!/bin/sh',
  '# Made by Godwit for one call of podman.',
  ...(programs === undefined ? [] : [`PATH=${quoted(programs)}:$PATH`, 'export PATH']),
];

/** Passes other calls, such as for its help, to the runtime. */
const others = (runtime: string, verb: string): string[] => [
  `case " $* " in`,
  `*" ${verb} "*"--image-path "*) ;;`,
  `*) exec ${runtime} "$@" ;;`,
  'esac',
];

/** Dumps nothing, so that podman packs its record of a running container. */
export function sourceScript(given: StandIn): string {
  return [
    ...start(given),
    ...others(given.runtime, 'checkpoint'),
    'while [ $# -gt 0 ]; do',
    '  if [ "$1" = --image-path ]; then images=$2; fi',
    '  shift',
    'done',
    'rm -rf -- "$images"',
    'mkdir -p -m 700 -- "$images" && : >"$images/inventory.img"',
    '',
  ].join('\n');
}

export interface RestoreStandIn extends StandIn {
  /** File for its pid and arguments, one per line. */
  readonly said: string;
  /** FIFO that the mover holds open: its end shows the mover's end. */
  readonly lease: string;
  readonly images: string;
  /** Directory of CRIU's settings. */
  readonly home: string;
}

/** Waits for the mover's message, then becomes the runtime with Godwit's images instead of podman's. */
export function destinationScript(given: RestoreStandIn): string {
  const { runtime, said, lease, images, home } = given;
  return [
    ...start(given),
    ...others(runtime, 'restore'),
    `{ echo "$$"; for each; do printf '%s\\n' "$each"; done; } >${quoted(`${said}.new`)}`,
    `mv ${quoted(`${said}.new`)} ${quoted(said)}`,
    `word=$(timeout ${WAIT_S} head -n 1 ${quoted(lease)} 2>/dev/null)`,
    'if [ "$word" != go ]; then',
    "  echo 'Godwit takes the restore back' >&2",
    '  exit 1',
    'fi',
    'count=$# before=',
    'while [ "$count" -gt 0 ]; do',
    '  each=$1',
    '  shift',
    '  case "$before" in',
    `  --image-path | --work-path) set -- "$@" ${quoted(images)} ;;`,
    '  *) set -- "$@" "$each" ;;',
    '  esac',
    '  before=$each',
    '  count=$((count - 1))',
    'done',
    `HOME=${quoted(home)}`,
    'export HOME',
    `exec setsid ${runtime} "$@"`,
    '',
  ].join('\n');
}

/** Contents of CONTAINERS_CONF_OVERRIDE: podman calls `program` as its runtime. */
export function runtimeConf(runtime: StandIn['runtime'], program: string): string {
  return `[engine.runtimes]\n${runtime} = [${JSON.stringify(program)}]\n`;
}

export function saidIn(text: string): { pid: number; bundle: string } | undefined {
  const [first = '', ...words] = text.trimEnd().split('\n');
  const pid = Number(first);
  const bundle = words[words.findIndex((each) => each === '--bundle' || each === '-b') + 1];
  const isWhole = Number.isSafeInteger(pid) && pid > 0 && bundle?.startsWith('/') === true;
  return isWhole ? { pid, bundle } : undefined;
}
