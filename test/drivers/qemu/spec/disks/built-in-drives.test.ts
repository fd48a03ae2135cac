import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { builtInDrives } from '../../../../../src/drivers/qemu/spec/disks/built-in-drives.ts';
import type { LiveDisk } from '../../../../../src/drivers/qemu/spec/disks/disk-facts.ts';

function drive(type: string, unit: number, root?: string): LiveDisk {
  const bus = type === 'floppy' ? 'floppy-bus.0' : 'ide.0';
  return {
    drive: `${type}${unit}`,
    qdev: '',
    root,
    writeCache: true,
    builtIn: { type, bus, unit },
  };
}

function typesOf(disks: readonly LiveDisk[], machine: string): string[] {
  const filled = new Map(disks.filter(({ root }) => root !== undefined).map((each) => [each, {}]));
  return builtInDrives(disks, filled, machine).map(({ driver, props }) => {
    return `${driver} ${String(props['unit'] ?? '')}`.trim();
  });
}

describe('built-in drives', () => {
  test('built-in drives are given as devices, with the empty ones that QEMU would no longer create', () => {
    const disks = [drive('ide-hd', 0, 'a'), drive('ide-cd', 1), drive('floppy', 0)];
    assert.deepEqual(typesOf(disks, 'pc-i440fx-7.2'), ['ide-hd 0', 'ide-cd 1']);
    const floppies = [drive('floppy', 0, 'f'), drive('floppy', 1), drive('ide-cd', 0)];
    assert.deepEqual(typesOf(floppies, 'pc-i440fx-7.2'), ['floppy 0', 'floppy 1']);
    assert.deepEqual(typesOf([drive('ide-cd', 0)], 'pc-i440fx-7.2'), []);
  });

  test('built-in drives have a floppy controller if the machine has none by itself', () => {
    const disks = [drive('floppy', 0, 'f')];
    assert.deepEqual(typesOf(disks, 'pc-q35-7.2'), ['isa-fdc', 'floppy 0']);
    assert.deepEqual(typesOf([drive('ide-hd', 0, 'a')], 'pc-q35-7.2'), ['ide-hd 0']);
  });
});
