/**
 * Programs that take the place of podman's OCI runtime for one call. podman reads the runtime's path for each call. Its record
 * of a container has only the runtime's name. Pure.
 */

/** The record that podman packs, and two archives of Godwit. CRIU ignores all three. */
export const RECORD = 'podman-record.img';
export const LOG = 'podman-log.img';
export const SHM = 'podman-shm.img';

/** podman ends a restore by itself later than that. */
export const WAIT_S = 200;

export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

export interface StandIn {
  /** The runtime that it stands in for, by its name. */
  readonly runtime: 'runc' | 'crun';
  /** Put before the PATH. */
  readonly programs: string | undefined;
}

const start = ({ programs }: StandIn): string[] => [
  '#!/bin/sh',
  '# Made by Godwit for one call of podman.',
  ...(programs === undefined ? [] : [`PATH=${quoted(programs)}:$PATH`, 'export PATH']),
];

/** The call that the stand-in is for; podman asks the runtime for other things, too, such as its help. */
const others = (runtime: string, verb: string): string[] => [
  `case " $* " in`,
  `*" ${verb} "*"--image-path "*) ;;`,
  `*) exec ${runtime} "$@" ;;`,
  'esac',
];

/** Dumps nothing, so that podman packs its record of a container that keeps running. */
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
  /** The file for its process id and its arguments, a line each. */
  readonly said: string;
  /** A FIFO that the mover holds open: its end is the mover's. */
  readonly lease: string;
  readonly images: string;
  /** With CRIU's settings. */
  readonly home: string;
}

/** Waits for the mover's word, then becomes the runtime, with Godwit's images in the place of podman's. */
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

/** The file for CONTAINERS_CONF_OVERRIDE: podman calls `program` as its runtime. */
export function runtimeConf(runtime: StandIn['runtime'], program: string): string {
  return `[engine.runtimes]\n${runtime} = [${JSON.stringify(program)}]\n`;
}

/** A stand-in's report about itself; undefined if the text is not one. */
export function saidIn(text: string): { pid: number; bundle: string } | undefined {
  const [first = '', ...words] = text.trimEnd().split('\n');
  const pid = Number(first);
  const bundle = words[words.findIndex((each) => each === '--bundle' || each === '-b') + 1];
  const isWhole = Number.isSafeInteger(pid) && pid > 0 && bundle?.startsWith('/') === true;
  return isWhole ? { pid, bundle } : undefined;
}
