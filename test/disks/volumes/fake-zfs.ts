import { FakeProgram } from './fake-program.ts';

/**
 * Stands for `zfs`, which this kernel does not have. It takes the words that Godwit gives the real one and no others, and
 * makes loop devices, full of what somebody left there. What it holds is `state.json`.
 */

export interface FakeZvol {
  bytes: number;
  sparse?: boolean;
  /** Its own properties. */
  props: Record<string, string>;
  /** Its loop device. */
  loop?: string;
  /** It is a file system, and none of that. */
  isFilesystem?: boolean;
}

interface FakeState {
  loops: boolean;
  /** Where volumes have their names, below the name of the pool. */
  devices: string;
  datasets: Record<
    string,
    { available: number; props: Record<string, string>; children: Record<string, FakeZvol> }
  >;
}

const PROGRAM = String.raw`
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
const top = TOP;
const [verb, ...words] = process.argv.slice(2);
fs.appendFileSync(path.join(top, 'log'), [verb, ...words].join(' ') + '\n');
const fail = (text) => { process.stderr.write(text + '\n'); process.exit(1); };
const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
if (verb === 'create') while (fs.existsSync(path.join(top, 'hold'))) wait();
for (;;) { try { fs.mkdirSync(path.join(top, 'lock')); break; } catch { wait(); } }
process.on('exit', () => fs.rmdirSync(path.join(top, 'lock')));
const file = path.join(top, 'state.json');
const state = JSON.parse(fs.readFileSync(file, 'utf8'));
const given = {};
const rest = [];
const VALUES = { get: 'dtso', create: 'Vbo', inherit: '', destroy: '' };
const SWITCHES = { get: 'Hpr', create: 's', inherit: '', destroy: '' };
for (let at = 0; at < words.length; at += 1) {
  const word = words[at];
  if (!word.startsWith('-')) rest.push(word);
  else if (word.length === 2 && SWITCHES[verb]?.includes(word[1])) given[word[1]] = true;
  else if (word.length === 2 && VALUES[verb]?.includes(word[1])) given[word[1]] = words[at += 1];
  else fail("invalid option '" + word + "'");
}
const split = (full) => {
  const parent = full.slice(0, full.lastIndexOf('/'));
  const name = full.slice(parent.length + 1);
  return [state.datasets[parent], name, state.datasets[parent]?.children[name]];
};
const isOpen = (device) => fs.readdirSync('/proc').filter((each) => /^\d+$/.test(each)).some((pid) => {
  try { return fs.readdirSync('/proc/' + pid + '/fd').some((fd) => { try { return fs.readlinkSync('/proc/' + pid + '/fd/' + fd) === device; } catch { return false; } }); }
  catch { return false; }
});
if (verb === 'get') {
  const [list, name] = rest;
  const dataset = state.datasets[name];
  if (!dataset) fail("cannot open '" + name + "': dataset does not exist");
  if (given.o !== 'name,property,value' || given.d !== '1' || given.t !== 'filesystem,volume') fail('unexpected words');
  const sources = given.s.split(',');
  const rows = [[name, { type: 'filesystem', available: dataset.available }, dataset.props, {}]];
  for (const [child, own] of Object.entries(dataset.children)) {
    const type = own.isFilesystem ? 'filesystem' : 'volume';
    const set = own.isFilesystem ? own.props : { ...own.props, volsize: own.bytes };
    rows.push([name + '/' + child, { type, available: dataset.available }, set, dataset.props]);
  }
  for (const [full, fixed, own, inherited] of rows) for (const property of list.split(',')) {
    const [value, source] = property in fixed ? [fixed[property], 'none'] : property in own ? [own[property], 'local']
      : property in inherited ? [inherited[property], 'inherited'] : ['-', 'none'];
    if (sources.includes(source)) process.stdout.write([full, property, value].join('\t') + '\n');
  }
} else if (verb === 'create') {
  const [dataset, name, there] = split(rest[0]);
  const [bytes, block] = [Number(given.V), Number(given.b)];
  if (!dataset) fail("cannot create '" + rest[0] + "': parent does not exist");
  if (there) fail("cannot create '" + rest[0] + "': dataset already exists");
  if (bytes % block !== 0) fail("cannot create '" + rest[0] + "': volume size must be a multiple of volume block size");
  if (!given.s && bytes > dataset.available) fail("cannot create '" + rest[0] + "': out of space");
  if (!given.s) dataset.available -= bytes;
  const [property, value] = given.o.split('=');
  const image = path.join(top, rest[0].replaceAll('/', '-') + '.img');
  fs.writeFileSync(image, Buffer.alloc(bytes, 0xaa));
  const loop = state.loops ? execFileSync('losetup', ['--find', '--show', image]).toString().trim() : image;
  const device = path.join(state.devices, rest[0]);
  fs.mkdirSync(path.dirname(device), { recursive: true });
  fs.symlinkSync(loop, device);
  dataset.children[name] = { bytes, sparse: given.s === true, props: { [property]: value }, loop };
} else if (verb === 'inherit') {
  const [, , own] = split(rest[1]);
  if (!own) fail("cannot open '" + rest[1] + "': dataset does not exist");
  delete own.props[rest[0]];
} else if (verb === 'destroy') {
  const [dataset, name, own] = split(rest[0]);
  if (!own) fail("cannot open '" + rest[0] + "': dataset does not exist");
  if (own.loop && isOpen(own.loop)) fail("cannot destroy '" + rest[0] + "': dataset is busy");
  if (own.loop && state.loops) execFileSync('losetup', ['--detach', own.loop]);
  if (own.loop) { fs.rmSync(path.join(state.devices, rest[0])); fs.rmSync(path.join(top, rest[0].replaceAll('/', '-') + '.img')); }
  if (!own.sparse) dataset.available += own.bytes;
  delete dataset.children[name];
} else fail("unrecognized command '" + verb + "'");
fs.writeFileSync(file, JSON.stringify(state));
`;

/** The program in a directory of a test, and what it holds. */
export class FakeZfs extends FakeProgram<FakeState> {
  constructor(top: string, { loops, devices }: Pick<FakeState, 'loops' | 'devices'>) {
    super(top, 'zfs', PROGRAM, { loops, devices, datasets: {} });
  }

  dataset(name: string, given: Partial<FakeState['datasets'][string]> = {}): void {
    const usual = { available: 256 * 1024 ** 2, props: {}, children: {} };
    this.change(({ datasets }) => void (datasets[name] = { ...usual, ...given }));
  }

  /** Detaches what is left. */
  end(): void {
    const { loops, datasets } = this.state;
    const all = Object.values(datasets).flatMap(({ children }) => Object.values(children));
    this.detach(loops ? all : []);
  }
}
