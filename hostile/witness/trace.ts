/**
 * What processes did with files, sockets and programs, as the kernel reported it to strace. It sees every call that names a path,
 * of the agent and of all that it starts, whatever their code is. Pure.
 */

/** How strace is started: as a grandchild, so that what is traced keeps its process id. */
export const TRACER: readonly string[] = [
  'strace',
  '-DDD',
  '-f',
  '-q',
  '-ttt',
  '-y',
  '-s',
  '4096',
  // Only these calls stop a process; all others go at full speed.
  '--seccomp-bpf',
  '-e',
  'trace=%file,connect,bind,chroot',
  '-e',
  'signal=none',
];

export interface TracedCall {
  readonly pid: number;
  /** ms since 1970. */
  readonly atMs: number;
  readonly call: string;
  /** Paths that were named, made absolute where the trace shows which directory. */
  readonly paths: readonly string[];
  /** What was really opened, links followed. */
  readonly opened?: string;
  /** Flags and modes as strace writes them, the rest of the arguments. */
  readonly words: string;
  /** The program and its arguments, of an execve. */
  readonly argv?: readonly string[];
  /** Undefined where it succeeded. */
  readonly error?: string;
}

const LINE = /^(\d+) +(\d+\.\d+) (\w+)\((.*)\) += (-?\d+|\?)(?:<((?:[^>\\]|\\.)*)>)?(?: (E\w+))?/s;
const STRING = /(?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?(?:@)?"((?:[^"\\]|\\.)*)"/g;
const UNFINISHED = /^(\d+) +(\d+\.\d+) (\w+)\((.*) <unfinished \.\.\.>$/s;
const RESUMED = /^(\d+) +\d+\.\d+ <\.\.\. (\w+) resumed>(.*)$/s;

/** Lines of a trace, whole calls one after the other: what a call of another process has cut in two is put together. */
export class TraceReader {
  readonly #begun = new Map<string, string>();

  /** Undefined for what is no call, or only the first half of one. */
  read(line: string): TracedCall | undefined {
    const cut = UNFINISHED.exec(line);
    if (cut !== null) {
      this.#begun.set(`${cut[1]} ${cut[3]}`, `${cut[1]} ${cut[2]} ${cut[3]}(${cut[4]}`);
      return undefined;
    }
    const rest = RESUMED.exec(line);
    if (rest === null) return seenOf(line);
    const key = `${rest[1]} ${rest[2]}`;
    const begun = this.#begun.get(key);
    this.#begun.delete(key);
    return begun === undefined ? undefined : seenOf(begun + rest[3]);
  }
}

function seenOf(line: string): TracedCall | undefined {
  const [, pid, at, call = '', args = '', , opened, error] = LINE.exec(line) ?? [];
  if (pid === undefined) return undefined;
  const isRun = call.startsWith('execve');
  // What a link says is an answer: nothing there was named by whoever asked.
  const isOne = isRun || call.startsWith('readlink');
  const strings = [...args.matchAll(STRING)];
  const named = isOne ? strings.slice(0, 1) : strings;
  return {
    pid: Number(pid),
    atMs: Number(at) * 1000,
    call,
    paths: named.map(([, directory, path = '']) => absolute(unescaped(path), directory)),
    words: args.replaceAll(STRING, ''),
    ...(opened === undefined ? {} : { opened: unescaped(opened) }),
    ...(isRun ? { argv: strings.slice(1).map(([, , word = '']) => unescaped(word)) } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

function absolute(path: string, directory: string | undefined): string {
  if (path.startsWith('/') || directory === undefined) return path;
  const above = unescaped(directory);
  return path === '' ? above : `${above.replace(/\/$/, '')}/${path}`;
}

const LETTERS: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', v: '\v', f: '\f' };

/** As strace writes strings: bytes that are not printed are octal numbers. */
function unescaped(text: string): string {
  if (!text.includes('\\')) return text;
  const bytes: number[] = [];
  for (const [, octal, letter, plain] of text.matchAll(/\\([0-7]{1,3})|\\(.)|([^\\]+)/gs)) {
    if (octal !== undefined) bytes.push(Number.parseInt(octal, 8));
    else bytes.push(...Buffer.from(plain ?? LETTERS[letter ?? ''] ?? letter ?? ''));
  }
  return Buffer.from(bytes).toString('utf8');
}
