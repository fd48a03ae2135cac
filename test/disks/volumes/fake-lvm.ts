import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FakeProgram } from './fake-program.ts';

/**
 * Stands for LVM's program `lvm`: this kernel may have no device mapper. It takes the words that Godwit gives the
 * real one and no others, and makes loop devices, full of what somebody left there. What it holds is `state.json`.
 */

export interface FakeVolume {
  bytes: number;
  tags: string[];
  pool?: string;
  /** Its loop device. */
  loop?: string;
}

export interface FakeGroup {
  extentBytes: number;
  freeBytes: number;
  /** Where its volumes have their names. */
  devices: string;
  /** Pool -> its size and what is free in it. */
  thinPools: Record<string, { bytes: number; freeBytes: number }>;
  volumes: Record<string, FakeVolume>;
}

interface FakeState {
  /** Without, names lead to plain files. */
  loops: boolean;
  groups: Record<string, FakeGroup>;
}

const PROGRAM = String.raw`
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import path from 'node:path';
const top = TOP;
const [verb, ...words] = process.argv.slice(2);
fs.appendFileSync(path.join(top, 'log'), [verb, ...words].join(' ') + '\n');
const fail = (text) => { process.stderr.write('  ' + text + '\n'); process.exit(5); };
const wait = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
if (verb === 'lvcreate') while (fs.existsSync(path.join(top, 'hold'))) wait();
for (;;) { try { fs.mkdirSync(path.join(top, 'lock')); break; } catch { wait(); } }
process.on('exit', () => fs.rmdirSync(path.join(top, 'lock')));
const file = path.join(top, 'state.json');
const state = JSON.parse(fs.readFileSync(file, 'utf8'));
const TAKEN = {
  vgs: ['reportformat', 'units', 'options', 'select'],
  lvs: ['reportformat', 'units', 'options', 'select'],
  lvcreate: ['wipesignatures', 'name', 'size', 'addtag', 'virtualsize', 'thinpool'],
  lvremove: [], lvchange: ['deltag'],
};
const given = {};
const rest = [];
for (let at = 0; at < words.length; at += 1) {
  const word = words[at];
  if (!word.startsWith('--')) { rest.push(word); continue; }
  const name = word.slice(2);
  if (['nosuffix', 'yes'].includes(name)) given[name] = true;
  else if (TAKEN[verb]?.includes(name)) given[name] = words[at += 1];
  else fail("unrecognized option '" + word + "'");
}
const named = (which) => [...(given.select ?? '').matchAll(new RegExp(which + '="([^"]*)"', 'g'))].map((each) => each[1]);
const report = (key, rows) => {
  const wanted = given.options.split(',');
  const shown = rows.map((row) => Object.fromEntries(wanted.map((each) => [each, row[each]])));
  process.stdout.write(JSON.stringify({ report: [{ [key]: shown }], log: [] }));
};
const split = (full) => {
  const [group, name] = full.split('/');
  const found = state.groups[group]?.volumes[name];
  if (found === undefined) fail('Failed to find logical volume "' + full + '"');
  return [state.groups[group], name, found];
};
const isOpen = (device) => fs.readdirSync('/proc').filter((each) => /^\d+$/.test(each)).some((pid) => {
  try { return fs.readdirSync('/proc/' + pid + '/fd').some((fd) => { try { return fs.readlinkSync('/proc/' + pid + '/fd/' + fd) === device; } catch { return false; } }); }
  catch { return false; }
});
if (verb === 'vgs') {
  report('vg', named('vg_name').filter((name) => state.groups[name]).map((name) => ({
    vg_name: name,
    vg_extent_size: String(state.groups[name].extentBytes),
    vg_free: String(state.groups[name].freeBytes),
  })));
} else if (verb === 'lvs') {
  const group = state.groups[named('vg_name')[0]] ?? { volumes: {}, thinPools: {} };
  const rows = named('lv_name').flatMap((name) => {
    const pool = group.thinPools[name];
    if (pool) return [{ lv_name: name, lv_size: String(pool.bytes), lv_tags: '', lv_layout: 'thin,pool',
      data_percent: (100 * (1 - pool.freeBytes / pool.bytes)).toFixed(2) }];
    const found = group.volumes[name];
    if (!found) return [];
    return [{ lv_name: name, lv_size: String(found.bytes), lv_tags: found.tags.join(','),
      lv_layout: found.pool ? 'thin,sparse' : 'linear', data_percent: found.pool ? '0.00' : '' }];
  });
  report('lv', rows);
} else if (verb === 'lvcreate') {
  const group = state.groups[rest[0]];
  const { name } = given;
  if (rest.length !== 1 || !group) fail('Volume group "' + rest[0] + '" not found');
  if (group.volumes[name]) fail('Logical Volume "' + name + '" already exists in volume group "' + rest[0] + '"');
  const asked = Number(/^(\d+)b$/.exec(given.size ?? given.virtualsize)?.[1] ?? fail('Invalid argument for --size'));
  const bytes = Math.ceil(asked / group.extentBytes) * group.extentBytes;
  const from = given.thinpool ? group.thinPools[given.thinpool] : group;
  if (!given.thinpool && bytes > from.freeBytes) fail('Volume group "' + rest[0] + '" has insufficient free space');
  if (!given.thinpool) from.freeBytes -= bytes;
  const image = path.join(top, rest[0] + '-' + name + '.img');
  fs.writeFileSync(image, Buffer.alloc(bytes, 0xaa));
  const loop = state.loops ? execFileSync('losetup', ['--find', '--show', image]).toString().trim() : image;
  fs.mkdirSync(group.devices, { recursive: true });
  fs.symlinkSync(loop, path.join(group.devices, name));
  group.volumes[name] = { bytes, tags: [given.addtag], loop, ...(given.thinpool ? { pool: given.thinpool } : {}) };
} else if (verb === 'lvchange') {
  const [, , found] = split(rest[0]);
  found.tags = found.tags.filter((tag) => tag !== given.deltag);
} else if (verb === 'lvremove') {
  const [group, name, found] = split(rest[0]);
  if (found.loop && isOpen(found.loop)) fail('Logical volume ' + rest[0] + ' in use.');
  if (found.loop && state.loops) execFileSync('losetup', ['--detach', found.loop]);
  if (found.loop) { fs.rmSync(path.join(group.devices, name)); fs.rmSync(path.join(top, rest[0].replace('/', '-') + '.img')); }
  if (!found.pool) group.freeBytes += found.bytes;
  delete group.volumes[name];
} else fail('Unknown command ' + verb);
fs.writeFileSync(file, JSON.stringify(state));
`;

/** The program in a directory of a test, and what it holds. */
export class FakeLvm extends FakeProgram<FakeState> {
  constructor(top: string, { loops }: Pick<FakeState, 'loops'>) {
    super(top, 'lvm', PROGRAM, { loops, groups: {} });
  }

  group(name: string, given: Partial<FakeGroup> & Pick<FakeGroup, 'devices'>): void {
    const MIB = 1024 ** 2;
    const usual = { extentBytes: 4 * MIB, freeBytes: 256 * MIB, thinPools: {}, volumes: {} };
    this.change(({ groups }) => void (groups[name] = { ...usual, ...given }));
  }

  /** One that was there before, empty. */
  volume(group: string, name: string, bytes: number): void {
    const image = path.join(this.top, `${group}-${name}.img`);
    writeFileSync(image, '');
    truncateSync(image, bytes);
    const loop = execFileSync('losetup', ['--find', '--show', image]).toString().trim();
    this.change(({ groups }) => {
      const found = groups[group];
      if (found === undefined) throw new Error(`there is no ${group}`);
      mkdirSync(found.devices, { recursive: true });
      symlinkSync(loop, path.join(found.devices, name));
      found.volumes[name] = { bytes, tags: [], loop };
    });
  }

  /** As its owner removes it. */
  remove(group: string, name: string): void {
    this.run('lvremove', '--yes', `${group}/${name}`);
  }

  /** Detaches what is left. */
  end(): void {
    const { loops, groups } = this.state;
    const all = Object.values(groups).flatMap(({ volumes }) => Object.values(volumes));
    this.detach(loops ? all : []);
  }
}
