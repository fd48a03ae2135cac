/**
 * Run as the user of a guest's QEMU, as one that was taken over would be: tries everything that it is given, and prints
 * what it could do. It imports nothing of the repository, which that user may not be able to read.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

interface Tries {
  /** Files and directories of all kinds. */
  readonly paths: readonly string[];
  readonly pids: readonly number[];
  /** Sockets to connect to. */
  readonly sockets: readonly string[];
  /** Programs, each with its arguments: what they print. */
  readonly programs: readonly (readonly string[])[];
}

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK, O_NOFOLLOW } = fs.constants;
const CONNECT_MS = 5000;
const PROGRAM_MS = 10_000;
/** No process of ours has this name, and it is taken away again. */
const MARK = `.captive-${process.pid}`;
const [, , file = ''] = process.argv;
const tries = JSON.parse(fs.readFileSync(file, 'utf8')) as Tries;

const can = (what: () => void): boolean => {
  try {
    what();
    return true;
  } catch {
    return false;
  }
};

const opens = (place: string, flags: number): boolean =>
  can(() => fs.closeSync(fs.openSync(place, flags | O_NONBLOCK | O_NOFOLLOW)));

function ofPath(place: string): string[] {
  let info: fs.Stats | undefined;
  can(() => (info = fs.lstatSync(place)));
  const done: string[] = [];
  const inParent = path.join(path.dirname(place), MARK);
  if (can(() => fs.renameSync(place, inParent))) {
    fs.renameSync(inParent, place);
    done.push('replace');
  }
  if (info?.isDirectory() === true) {
    if (can(() => fs.readdirSync(place))) done.push('list');
    const made = path.join(place, MARK);
    if (can(() => fs.mkdirSync(made))) {
      fs.rmdirSync(made);
      done.push('make');
    }
  } else if (info?.isSocket() !== true && info?.isSymbolicLink() !== true) {
    if (opens(place, O_RDONLY)) done.push('read');
    if (opens(place, O_WRONLY)) done.push('write');
  }
  if (can(() => fs.chmodSync(place, (info?.mode ?? 0) & 0o7777))) done.push('chmod');
  return done;
}

function ofProcess(pid: number): string[] {
  const at = (name: string): string => `/proc/${pid}/${name}`;
  const done: string[] = [];
  // The kernel asks the same of who would trace it.
  if (opens(at('mem'), O_RDWR)) done.push('memory');
  for (const name of ['environ', 'maps']) {
    let bytes = 0;
    // One that is just ending can be opened, and has none.
    if (can(() => (bytes = fs.readFileSync(at(name)).length)) && bytes > 0) done.push(name);
  }
  if (can(() => fs.readdirSync(at('fd')))) done.push('files');
  if (can(() => fs.readlinkSync(at('root')))) done.push('root');
  if (can(() => fs.readlinkSync(at('ns/net')))) done.push('namespaces');
  if (can(() => process.kill(pid, 0))) done.push('signal');
  return done;
}

function connects(place: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ path: place });
    const end = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.setTimeout(CONNECT_MS, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

const found: Record<string, string[]> = {};
const reported: Record<string, string> = {};
for (const place of tries.paths) {
  const done = ofPath(place);
  if (done.length > 0) found[place] = done;
}
for (const pid of tries.pids) {
  const done = pid === process.pid ? [] : ofProcess(pid);
  if (done.length > 0) found[`process ${pid}`] = done;
}
for (const place of tries.sockets) {
  if (await connects(place)) found[place] = [...(found[place] ?? []), 'connect'];
}
for (const words of tries.programs) {
  const [program = '', ...argv] = words;
  const ended = spawnSync(program, argv, { timeout: PROGRAM_MS, encoding: 'utf8' });
  reported[words.join(' ')] =
    `${ended.status ?? ended.signal}: ${ended.stdout}${ended.stderr}`.trim();
}
process.stdout.write(JSON.stringify({ found, reported, tried: process.getuid?.() }));
