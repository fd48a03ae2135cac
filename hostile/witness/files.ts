import path from 'node:path';
import { MARK } from '../../test/drivers/qemu/spec/grammar/witness.ts';
import type { TracedCall } from './trace.ts';

/**
 * Which files of a host its agent and what that starts have business with. Written from the documentation and not from
 * the code: what a process opened that is not here is reported. Pure.
 */
export interface Ground {
  readonly stateDir: string;
  readonly storage: string;
  /** Directories that are only read: images, the program's own files, its configuration. */
  readonly readable: readonly string[];
  /** Directories that the program writes to besides: node's compile cache. */
  readonly writable: readonly string[];
  /** Nobody has business there. */
  readonly traps: readonly string[];
  /** Programs that are started. */
  readonly programs: readonly string[];
  /** Directories below `storage` and guests of `stateDir` that belong to guests that stand by. */
  readonly bystanders: readonly string[];
  /** Processes of guests that stand by: what they open is theirs. */
  readonly strangers: ReadonlySet<number>;
}

const SYSTEM = ['/usr', '/lib', '/lib64', '/bin', '/sbin', '/proc', '/sys', '/run/netns'];
const ETC =
  /^\/(etc|run)\/(ld\.so|ssl\/|nsswitch|passwd|group|hosts?|resolv|gai|localtime|locale|iproute2|libnl|qemu|host\.conf|netsvc|svc|userdb|systemd\/userdb)/;
const DEVICES =
  /^\/dev(\/(null|zero|full|u?random|tty|ptmx|pts(\/\d+)?|kvm|vhost-net|net(\/tun)?|userfaultfd|shm.*))?$/;

/** What a shell is given: the one line by which a QEMU that is only asked ends with whoever asks. Or it runs a program’s own file. */
const SCRIPT = /^exec 4<&0; "\$@" <&4 3<&- 4<&- & exec <&- 4<&- >&-; read -r _ <&3; kill -9 "\$!"$/;

/** Calls that change what they name. */
const CHANGES =
  /^(unlink|unlinkat|rename\w*|link|linkat|symlink\w*|mkdir\w*|rmdir|mknod\w*|chmod|fchmodat\w*|l?chown|fchownat|truncate|setxattr|lsetxattr|removexattr|bind|mount|umount2?|chroot|utimensat|creat)$/;
const WRITES = /O_(WRONLY|RDWR|CREAT|TRUNC)/;
const OPENS = /^(open|openat|openat2|creat)$/;

/** What is wrong with a call; undefined where nothing is. */
export function judgeSeen(seen: TracedCall, ground: Ground): string | undefined {
  if (ground.strangers.has(seen.pid)) return undefined;
  if (seen.call.startsWith('execve')) return judgeRun(seen, ground);
  for (const named of seen.paths) {
    const problem = judgePath(path.normalize(named), seen, ground);
    if (problem !== undefined) return problem;
  }
  const { opened } = seen;
  const isFile = opened !== undefined && opened.startsWith('/') && OPENS.test(seen.call);
  return isFile
    ? judgePath(opened.replace(/ \(deleted\)$|\(deleted\)$/, ''), seen, ground)
    : undefined;
}

function judgeRun(
  { paths: [program = ''], argv = [], error }: TracedCall,
  { programs }: Ground,
): string | undefined {
  // A name that is looked for on the PATH is tried in each of its folders.
  if (error === 'ENOENT') return undefined;
  const known = programs.some((each) => program === each || path.basename(program) === each);
  const isShell =
    path.basename(program) === 'sh' && (argv[1] !== '-c' || SCRIPT.test(argv[2] ?? ''));
  return known || isShell ? undefined : `${program} was run: ${argv.join(' ').slice(0, 500)}`;
}

function judgePath(file: string, seen: TracedCall, ground: Ground): string | undefined {
  const reported = `${seen.call} ${file}${seen.error === undefined ? '' : ` (${seen.error})`}`;
  if (!file.startsWith('/')) return undefined;
  if (within(file, ground.traps)) return `${reported}: nobody has business there`;
  const changes = CHANGES.test(seen.call) || (OPENS.test(seen.call) && WRITES.test(seen.words));
  const own = within(file, [ground.stateDir, ground.storage]);
  if (!own && file.includes(MARK)) return `${reported}: somebody hostile has chosen this name`;
  if (within(file, ground.bystanders)) {
    return changes ? `${reported}: it belongs to a guest that stands by` : undefined;
  }
  if (own || within(file, ground.writable)) return undefined;
  if (changes) return mayChange(file) ? undefined : `${reported}: outside of what is written to`;
  if (seen.error !== undefined && !OPENS.test(seen.call)) return undefined;
  return mayRead(file, ground) ? undefined : `${reported}: outside of what is read`;
}

function mayChange(file: string): boolean {
  return /^\/(proc\/(self|thread-self|\d+)|dev)\//.test(file);
}

function mayRead(file: string, { readable }: Ground): boolean {
  if (within(file, SYSTEM) || within(file, readable) || /^\/(etc|run\/host)$/.test(file))
    return true;
  return ETC.test(file) || DEVICES.test(file) || isAbove(file, readable);
}

function within(file: string, folders: readonly string[]): boolean {
  return folders.some((folder) => file === folder || file.startsWith(`${folder}/`));
}

/** The way down to a folder is looked at too. */
function isAbove(file: string, folders: readonly string[]): boolean {
  const prefix = file === '/' ? '/' : `${file}/`;
  return folders.some((folder) => folder.startsWith(prefix));
}
