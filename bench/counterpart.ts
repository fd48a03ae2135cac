/** The command line of a guest's counterpart on another host, when no Godwit makes it. Pure. */

export interface Places {
  /** The guest's directory, for sockets, logs and the pid. */
  readonly dir: string;
  readonly tap: string;
  /** Where its disks lie, where they do not lie on the same storage. */
  readonly storage?: string;
}

/** Words of a migration that the running QEMU was itself started by; the value `-incoming` takes goes with it. */
const STARTED_PAUSED = '-S';
const STARTED_FOR_A_STREAM = '-incoming';

/**
 * The running QEMU's own words with the other host's directory and tap. It waits for a stream on `defer` and,
 * without -S, resumes the guest by itself as soon as it has everything.
 */
export function counterpartArgv(argv: readonly string[], from: Places, to: Places): string[] {
  const kept: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === STARTED_PAUSED) continue;
    if (word === STARTED_FOR_A_STREAM) index += 1;
    else kept.push(retap(elsewhere(word, from, to), from.tap, to.tap));
  }
  return [...kept, STARTED_FOR_A_STREAM, 'defer'];
}

function elsewhere(word: string, from: Places, to: Places): string {
  const own = word.replaceAll(`${from.dir}/`, `${to.dir}/`);
  if (from.storage === undefined || to.storage === undefined) return own;
  return own.replaceAll(`${from.storage}/`, `${to.storage}/`);
}

/** In both forms of -netdev: words and JSON. */
function retap(word: string, from: string, to: string): string {
  if (word.startsWith('{')) return word.replaceAll(`"ifname":"${from}"`, `"ifname":"${to}"`);
  if (!word.startsWith('tap,')) return word;
  return word
    .split(',')
    .map((part) => (part === `ifname=${from}` ? `ifname=${to}` : part))
    .join(',');
}
